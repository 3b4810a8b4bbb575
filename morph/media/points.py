"""Points that a person marked in two pictures: an untrusted file in, places in the prepared keyframes out.

Coordinates are pixels of the upright picture as a person sees it, x from the left and y from the top; the first
pixel's centre is (0, 0), as an image editor counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morph.errors import InputError
from morph.media.keyframe import Fit
from morph.text import parse_json, read_text, separator

MAX_POINTS = 10_000
"""Pairs of points in one file, at most."""
MAX_BYTES = 1_000_000
"""Of the file."""
HEADER = ["xa", "ya", "xb", "yb"]
"""What the first line of a table may say."""

_SHAPE = "four numbers xa ya xb yb, pixels from the upper left corner"


@dataclass(frozen=True, eq=False)
class MarkedPoints:
    """Pairs of points in two pictures.

    pairs: float64 (N,4): x and y in the first picture, x and y in the second. names: where each pair stands in
    its file, such as ``points.csv, line 3``.
    """

    pairs: NDArray[np.float64]
    names: tuple[str, ...]

    def prepared(
        self, originals: Sequence[tuple[int, int]], size: tuple[int, int], fit: Fit = "crop"
    ) -> NDArray[np.float64]:
        """The pairs (N,4) in pixels of keyframes that :func:`keyframe.load_keyframe` brings to ``size``.

        originals: (width, height) of both pictures, upright, as they are on disk.

        Raises:
            InputError: a point is outside its picture, or was cut away by the crop.
        """
        columns = [
            self._prepared(self.pairs[:, 2 * one : 2 * one + 2], "AB"[one], original, size, fit)
            for one, original in enumerate(originals)
        ]
        return np.concatenate(columns, axis=1)

    def _prepared(
        self, points: NDArray[np.float64], which: str, original: tuple[int, int], size: tuple[int, int], fit: Fit
    ) -> NDArray[np.float64]:
        for name, (x, y) in zip(self.names, points, strict=True):
            if not _inside(x, y, original):
                raise InputError(
                    f"{name}: ({x:g}, {y:g}) is outside {which}, whose pixels are 0 to {original[0] - 1} across "
                    f"and 0 to {original[1] - 1} down: correct the point"
                )
        carried = _carried(points, original, size, fit)
        for name, (x, y), place in zip(self.names, points, carried, strict=True):
            if not _inside(place[0], place[1], size):
                raise InputError(
                    f"{name}: ({x:g}, {y:g}) is cut away where {which} is cropped to {size[0]}x{size[1]}: leave it "
                    "out, or pad instead of cropping"
                )
        return carried


def read_points(path: Path) -> MarkedPoints:
    """Read pairs of points: JSON ``[[xa, ya, xb, yb], ...]``, or a line of four numbers for each.

    Numbers of a line are separated by commas, semicolons or blanks; a first line ``xa,ya,xb,yb``, empty lines and
    whatever follows a # are passed over. Between semicolons a comma is a decimal one, as Excel writes it.

    Raises:
        InputError: the file cannot be read, is too large, or anything in it is not four numbers of 0 or more.
    """
    return parse_points(path, _text(path))


def parse_points(path: Path, text: str) -> MarkedPoints:
    """The pairs of points in a text, as :func:`read_points` has it; ``path`` is what errors call it.

    Raises:
        InputError: there are none, too many, or anything is not four numbers of 0 or more.
    """
    places = _listed(path, text) if _is_json(path, text) else _tabled(path, text)
    if not places:
        raise InputError(f"{path}: holds no points: write {_SHAPE}, for each pair")
    if len(places) > MAX_POINTS:
        raise InputError(f"{path}: holds {len(places)} pairs of points: at most {MAX_POINTS} are taken")
    for name, numbers in places:
        if len(numbers) != 4 or not all(math.isfinite(number) and number >= 0 for number in numbers):
            listed = ", ".join(f"{number:g}" for number in numbers[:5]) or "nothing"
            raise InputError(f"{name}: {listed} is not a pair of points: write {_SHAPE}")
    return MarkedPoints(np.array([numbers for _, numbers in places]), tuple(name for name, _ in places))


def _text(path: Path) -> str:
    try:
        return read_text(path, MAX_BYTES, "a file of points")
    except FileNotFoundError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}): check the name") from None


def _is_json(path: Path, text: str) -> bool:
    return path.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{")


def _listed(path: Path, text: str) -> list[tuple[str, list[float]]]:
    # one that no float holds is infinite then, or none, and refused with the number of its pair
    pairs = parse_json(path, text, parse_int=float, parse_float=float, parse_constant=float)
    if not isinstance(pairs, list):
        raise InputError(f"{path}: is no list: write [[xa, ya, xb, yb], ...]")
    return [(f"{path}, pair {number}", _numbers(path, number, pair)) for number, pair in enumerate(pairs, 1)]


def _numbers(path: Path, number: int, pair: Any) -> list[float]:
    if not isinstance(pair, list) or not all(isinstance(value, float) for value in pair):
        raise InputError(f"{path}, pair {number}: is no list of numbers: write [xa, ya, xb, yb]")
    return pair


def _tabled(path: Path, text: str) -> list[tuple[str, list[float]]]:
    places: list[tuple[str, list[float]]] = []
    first = True
    for number, line in enumerate(text.split("\n"), 1):
        row = line.partition("#")[0].strip().rstrip(",;")  # spreadsheets fill rows up
        if not row:
            continue
        cells = _cells(row)
        if first and [cell.lower() for cell in cells] == HEADER:
            first = False
            continue
        first = False
        try:
            places.append((f"{path}, line {number}", [float(cell) for cell in cells]))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {row[:40]!r} is not {_SHAPE}") from error
    return places


def _cells(row: str) -> list[str]:
    if not {",", ";"} & set(row):
        return row.split()
    between = separator(row) if ";" not in row else ";"
    cells = [cell.strip() for cell in row.split(between)]
    return cells if between == "," else [cell.replace(",", ".") for cell in cells]


def _carried(
    points: NDArray[np.float64], original: tuple[int, int], size: tuple[int, int], fit: Fit
) -> NDArray[np.float64]:
    """Where points (N,2) of an upright picture come to lie in its keyframe: what load_keyframe does, for points."""
    scales = [after / before for before, after in zip(original, size, strict=True)]
    columns = []
    for axis, (before, after) in enumerate(zip(original, size, strict=True)):
        if fit == "crop":
            seen = min(after / max(scales), before)
            scale, start = after / seen, -(before - seen) / 2 * after / seen
        else:
            inner = max(1, round(before * min(scales)))
            scale, start = inner / before, float((after - inner) // 2)
        columns.append((points[:, axis] + 0.5) * scale + start - 0.5)
    return np.stack(columns, axis=1)


def _inside(x: float, y: float, size: tuple[int, int]) -> bool:
    """Whether a point is on a picture; its pixels reach half their width beyond their centres."""
    slack = 1e-6  # of rounding, where a point lies on the very border
    return all(-0.5 - slack <= at <= side - 0.5 + slack for at, side in zip((x, y), size, strict=True))
