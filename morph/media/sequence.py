"""Numbered pictures of any kind as footage: found in a folder, or named by a pattern; missing numbers are told."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from morph.errors import InputError
from morph.media.frame import FrameArray, described
from morph.media.image import read_image
from morph.media.kinds import PICTURES
from morph.media.pattern import SUFFIXES, StillPattern, is_folder
from morph.media.stills import frame_numbers, read_still

READ = (*SUFFIXES, *(suffix for suffix in PICTURES if suffix not in SUFFIXES))
"""Kinds of numbered pictures that are read, in lower case."""
_NUMBERED = re.compile(r"(.*?)(\d+)([^\d]*\.\w+)", re.DOTALL | re.ASCII)
_NAMED = 5
_FARTHEST = 100_000
"""Numbers that may miss between two pictures: more are no gap, but another sequence or a date."""


@dataclass(frozen=True)
class Sequence:
    """Numbered pictures on disk: their pattern, the numbers that are there, ascending, and what is beside them.

    others: names of pictures in their folder that are none of them.
    """

    pattern: StillPattern
    numbers: tuple[int, ...]
    others: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """The numbers between the first and the last that are not there, as 1005-1007, 1010; empty if none are."""
        gaps = [(before + 1, after - 1) for before, after in pairwise(self.numbers) if after - before > 1]
        named = [str(first) if first == last else f"{first}-{last}" for first, last in gaps[:_NAMED]]
        return ", ".join(named) + (f" and {len(gaps) - _NAMED} more gaps" if len(gaps) > _NAMED else "")

    def frames(self) -> Iterator[FrameArray]:
        """The pictures, one size; those of kinds that are not written here laid on black.

        Raises:
            InputError: one cannot be read, or is of another size or depth.
        """
        first = ""
        for number in self.numbers:
            path = self.pattern.path(number)
            frame = read_still(path) if path.suffix.lower() in SUFFIXES else read_image(path).pixels
            kind = described(frame)
            first = first or kind
            if kind != first:
                raise InputError(f"{path}: {kind}, but the pictures before it are {first}: remove the odd ones")
            yield frame


def is_sequence(source: str) -> bool:
    """Whether ``source`` means numbered pictures: a folder, or a name with a place for the number."""
    path = Path(source)
    if os.path.isfile(path):
        return False
    return is_folder(source) or (path.suffix.lower() in READ and StillPattern.has_field(path.name))


def find_sequence(source: str) -> Sequence:
    """The numbered pictures that a folder holds, or that ``name.%04d.jpg``, ``####`` or ``%d`` name.

    A folder's are its ``frame.%04d.png``, else the only ones that it holds.

    Raises:
        InputError: there are none, or several of them in the folder, or it cannot be read.
    """
    if not is_folder(source):
        pattern = StillPattern.parse(source, READ)
        if not frame_numbers(pattern):
            raise InputError(f"{pattern.folder}: holds no picture called {Path(str(pattern)).name}")
        return _numbered(pattern)
    folder = Path(source)
    usual = StillPattern(folder)
    usual_there = bool(frame_numbers(usual))  # which also finds that there is no folder
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    pictures = [name for name in names if Path(name).suffix.lower() in READ]
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in pictures:
        if numbered := _NUMBERED.fullmatch(name):
            found[numbered[1], numbered[3]].append(numbered[2])
    if not found:
        there = f"there are {', '.join(names[:_NAMED])}" if names else "it is empty"
        raise InputError(f"{folder}: holds no numbered pictures such as frame.1001.png or img_1.jpg; {there}")
    if usual_there:
        return _numbered(usual, pictures)
    patterns = [_pattern(folder, before, numbers, after) for (before, after), numbers in found.items()]
    if len(patterns) > 1:
        counts = [f"{Path(str(pattern)).name} ({len(frame_numbers(pattern))})" for pattern in patterns[:_NAMED]]
        raise InputError(f"{folder}: holds several sequences: name one of {', '.join(counts)}, as {patterns[0]}")
    return _numbered(patterns[0], pictures)


def _numbered(pattern: StillPattern, pictures: Collection[str] = ()) -> Sequence:
    """The pictures of a pattern; ``pictures``: the names of all in their folder."""
    numbers = frame_numbers(pattern)
    for before, after in pairwise(numbers):
        if after - before > _FARTHEST:
            raise InputError(
                f"{pattern}: from {pattern.path(before).name} on, the next is {pattern.path(after).name}: "
                "move one of them away"
            )
    return Sequence(pattern, tuple(numbers), tuple(name for name in pictures if pattern.number(name) is None))


def _pattern(folder: Path, before: str, numbers: list[str], after: str) -> StillPattern:
    padded = any(number.startswith("0") and len(number) > 1 for number in numbers)
    pattern = StillPattern(folder, before, min(map(len, numbers)) if padded else 1, after)
    names = [f"{before}{number}{after}" for number in numbers]
    odd = [name for name in names if pattern.number(name) is None]
    if odd:
        usual = next((name for name in names if name not in odd), str(pattern))
        raise InputError(f"{folder}: {usual} and {odd[0]} are numbered in two ways: rename one of them")
    return pattern
