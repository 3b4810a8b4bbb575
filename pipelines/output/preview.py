"""A film that is small enough to be carried in a page or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.media.frame import to_rgb8
from morph.media.target import Stream
from morph.media.video import VideoWriter
from pipelines.output.targets import target_for

SIDES = (480, 320, 160)
"""The longer side of a preview in pixels; the next one where it becomes too large."""
FRAMES = 300
"""Frames of a preview, at most; of a longer film every second, third ... one is shown."""
BYTES = 8_000_000
"""Of a preview, at most, where a side keeps to it."""


def preview(frames: Callable[[range], Iterable[NDArray[Any]]], stream: Stream) -> bytes:
    """An H.264 MP4 of a film, made small: as long, of fewer pixels and frames, and without transparency or sound.

    frames: those of the numbers asked for, (H,W,3) or (H,W,4). stream: theirs.

    Raises:
        EncodeError: a frame is gone, or the disk is full.
    """
    step = -(-stream.frames // FRAMES)
    numbers = range(0, stream.frames, step)
    film = b""
    with TemporaryDirectory(prefix="morph-") as folder:
        path = Path(folder) / "preview.mp4"
        for side in SIDES:
            size = _within(stream.size, side)
            shown = replace(stream, size=size, fps=stream.fps / step, frames=len(numbers), alpha=False, depth=8)
            with VideoWriter(path, target_for(path), shown, pad=True) as writer:
                for frame in frames(numbers):
                    writer.write(_resized(to_rgb8(frame), size))
            film = path.read_bytes()
            if len(film) <= BYTES:
                break
    return film


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) of the same shape, no side of it longer than ``side``."""
    scale = min(1, side / max(size))
    width, height = (max(1, round(length * scale)) for length in size)
    return width, height


def _resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    picture = Image.fromarray(frame)
    return frame if picture.size == size else np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
