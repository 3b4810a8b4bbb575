"""A frame of a film where a picture is asked for: ``clip.mp4@first``, ``clip.mp4@last``, ``clip.mp4@2.5s``."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import KeyframeError
from morph.media.film import Film, Look, first_frame, open_film
from morph.media.times import Times

_NAME = re.compile(r"(.*\.[^/@]+)@(first|last|\d{1,7}(?:\.\d{1,6})?s?|\d{1,7}f)", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class Moment:
    """A frame of a film: "first", "last", the one that is shown at "2.5s" (or "2.5"), or number "60f", from 0."""

    film: Path
    when: str

    @classmethod
    def parse(cls, path: Path | str) -> Self | None:
        """The moment that a name means; None for any other, and where a file has this very name."""
        named = _NAME.fullmatch(str(path))
        return cls(Path(named[1]), named[2]) if named and not os.path.lexists(path) else None

    def __str__(self) -> str:
        return f"{self.film}@{self.when}"

    @property
    def name(self) -> str:
        """What people may call it, without a folder or a suffix."""
        return f"{self.film.stem}@{self.when}"

    def read(self) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        """The frame, uint8 sRGB (H,W,3) of square pixels, and what people should know of it.

        Raises:
            InputError: no film that can be read.
            KeyframeError: it is not that long.
        """
        status = self.film.stat()
        return _read(self, (status.st_mtime_ns, status.st_size))

    def _number(self, times: Times) -> int:
        """The number of the frame, from 0."""
        count = len(times.starts)
        if self.when == "last":
            return count - 1
        if self.when.endswith("f"):
            number = int(self.when[:-1])
            if number < count:
                return number
            raise KeyframeError(f"{self}: the film has {count} frames; the last is @{count - 1}f, or @last")
        seconds = Fraction(self.when.removesuffix("s"))
        if seconds > times.end:
            raise KeyframeError(f"{self}: the film is {float(times.end):.2f} s long; its last frame is @last")
        return max(0, bisect_right(times.starts, seconds) - 1)


def file_of(path: Path) -> Path:
    """The file that a picture's name leads to: a film for a moment, else itself."""
    moment = Moment.parse(path)
    return moment.film if moment else path


@lru_cache(maxsize=2)
def _opened(film: Path, stamp: tuple[int, int]) -> Film:
    return open_film(film)


@lru_cache(maxsize=4)  # a picture is read for its size, and again for its pixels
def _read(moment: Moment, stamp: tuple[int, int]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    if moment.when == "first":
        frame, look = first_frame(moment.film)
        return _squared(frame, look, moment, tuple(f"{moment.film}: {notice}" for notice in look.notices))
    film = _opened(moment.film, stamp)
    number = moment._number(film.times)
    with closing(film.frames()) as frames:
        frame = next(islice(frames, number, None))
    return _squared(frame, film.look, moment, film.notices)


def _squared(
    frame: NDArray[np.uint8], look: Look, moment: Moment, notices: tuple[str, ...]
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """A frame whose pixels are as wide as high; the picture grows."""
    if look.aspect == 1:
        return frame, notices
    height, width = frame.shape[:2]
    wide, high = max(width, round(width * look.aspect)), max(height, round(height / look.aspect))
    scaled = np.array(Image.fromarray(frame).resize((wide, high), Image.Resampling.LANCZOS))
    return scaled, (*notices, f"{moment}: its pixels are not square: it is scaled to {wide}x{high}")
