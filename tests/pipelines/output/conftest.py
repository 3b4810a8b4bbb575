"""Frames written as a render writes them, and what outputs are refused with."""

from fractions import Fraction

import numpy as np
import pytest

from morph.errors import SettingsError
from morph.media.target import Stream
from pipelines.output.outputs import Output
from pipelines.output.targets import load_target, target_names
from pipelines.request.encode import Encode
from tests.readback import centres, read_back

TARGETS = {name: load_target(name) for name in target_names()}
FILES = [(name, suffix) for name, target in TARGETS.items() for suffix in target.suffixes]
NTSC = Fraction(24000, 1001)
SIZE, FPS = (256, 128), Fraction(24)


def stream_of(frames, fps=NTSC):
    height, width, channels = frames[0].shape
    return Stream((width, height), fps, len(frames), channels == 4, frames[0].itemsize * 8)


def write(path, frames, preset="auto", fps=NTSC, comment=None, **encode):
    """Frames written as a render writes them."""
    output = Output.of(path, stream_of(frames, fps), Encode(preset=preset, **encode))
    output.check()
    with output.open(comment) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def errors(path, frame):
    """The largest errors of the patches' colours, where they are not fully transparent, and of their alpha."""
    expected = centres(frame.astype(float)) / (257 if frame.itemsize == 2 else 1)
    seen = expected[..., 3] > 0 if frame.shape[2] == 4 else np.ones(expected.shape[:2], bool)
    found = np.stack([centres(decoded) for decoded in read_back(path).frames])
    alpha = np.abs(found[..., 3:] - expected[..., 3:]).max() if frame.shape[2] == 4 else 0
    return np.abs(found[..., :3] - expected[..., :3])[:, seen].max(), alpha


def refusal(path, stream=None, kind=SettingsError, **encode):
    """The one line that an output is refused with; its folder stays as it is."""
    before = sorted(path.parent.glob("*")) if path.parent.is_dir() else None
    with pytest.raises(kind) as caught:
        Output.of(path, stream or Stream(SIZE, FPS, 3), Encode(**encode)).check()
    assert (sorted(path.parent.glob("*")) if path.parent.is_dir() else None) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)
