"""Moving pictures to work on, whatever they are stored as: frames and when they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from morph.errors import InputError, SettingsError
from morph.media.film import Film, open_film
from morph.media.frame import LOSES, to_rgb8
from morph.media.sequence import find_sequence, is_sequence
from morph.media.times import Times

Missing = Literal["fill", "hold", "refuse"]
_NAMED = 5
_LONG = 60
"""Seconds from one frame to the next that are told."""


@dataclass(frozen=True)
class Footage:
    """Moving pictures that are open.

    Attributes:
        frames: uint8 sRGB (H,W,3), one size; they are read once.
        times: when they are shown.
        film: the file that they come from, with what else is in it; None for numbered pictures.
        notices: what a person should know of how they are taken.
    """

    frames: Iterator[NDArray[np.uint8]]
    times: Times
    film: Film | None
    notices: tuple[str, ...]

    @property
    def aspect(self) -> Fraction:
        """Of a pixel, its width by its height."""
        return self.film.look.aspect if self.film else Fraction(1)


def open_footage(source: str, fps: Fraction | None = None, missing: Missing = "fill") -> Footage:
    """Open a film, or numbered pictures in a folder or named by a pattern.

    Args:
        source: its name.
        fps: overrules what a film says of its times; pictures need it.
        missing: what becomes of numbers that are not there: "fill" leaves their time empty, for frames to be made
            between their neighbours; "hold" shows the picture before them for it; "refuse" raises.

    Raises:
        SettingsError: pictures without a rate.
        InputError: it cannot be read, or pictures are missing and that is refused.
    """
    if missing not in get_args(Missing):
        raise SettingsError(f"missing {missing!r}: it must be one of {', '.join(get_args(Missing))}")
    if is_sequence(source):
        return _pictures(source, fps, missing)
    film = open_film(Path(source))
    notices = list(film.notices)
    times = film.times
    if fps is not None:
        if fps != times.fps and any(film.probe.of_kind(kind) for kind in ("audio", "subtitle")):
            notices.append(f"{source}: at {fps} fps its pictures no longer last as long as its sound or subtitles")
        times = Times.even(len(times.starts), fps)
    elif times.fps is None:
        notices.append(
            f"{source}: its {len(times.starts)} frames come at uneven times, {float(times.mean):.3f} a second on "
            "average; each is taken when it is shown"
        )
        gaps = [after - before for before, after in pairwise(times.starts)]
        if (longest := max(gaps)) > _LONG:
            start = float(times.starts[gaps.index(longest)])
            notices.append(f"{source}: from {start:g} s on it shows one frame for {float(longest):g} s")
    elif times.held:
        held = float(times.end - times.starts[-1])
        notices.append(f"{source}: its last frame is held for {held:g} s")
    return Footage(film.frames(), times, film, tuple(notices))


def _pictures(source: str, fps: Fraction | None, missing: Missing) -> Footage:
    sequence = find_sequence(source)
    if fps is None:
        raise SettingsError(f"{source}: pictures have no frame rate: add --fps")
    notices = []
    numbers = sequence.numbers
    if sequence.others:
        more = f" and {len(sequence.others) - _NAMED} more" if len(sequence.others) > _NAMED else ""
        notices.append(f"{source}: left out are {', '.join(sequence.others[:_NAMED])}{more}")
    if sequence.missing:
        lacking = f"{sequence.pattern}: without number {sequence.missing}"
        if missing == "refuse":
            raise InputError(f"{lacking}: --missing fill makes them, --missing hold repeats those before")
        how = "they are made from their neighbours" if missing == "fill" else "the picture before is held"
        notices.append(f"{lacking}; {how}")
    first = next(frames := sequence.frames())
    if first.itemsize > 1 or first.shape[2] > 3:
        notices.append(f"{source}: {LOSES}")
    taken = (to_rgb8(frame) for frame in chain([first], frames))
    if missing == "hold":
        gaps = [after - before for before, after in zip(numbers, (*numbers[1:], numbers[-1] + 1), strict=True)]
        repeated = (frame for frame, gap in zip(taken, gaps, strict=True) for _ in range(gap))
        return Footage(repeated, Times.even(sum(gaps), fps), None, tuple(notices))
    starts = tuple((number - numbers[0]) / fps for number in numbers)
    even = None if sequence.missing else fps
    return Footage(taken, Times(starts, starts[-1] + 1 / fps, even), None, tuple(notices))
