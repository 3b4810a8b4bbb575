"""What rendering a segment tells of it, as plain values that travel between machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self


@dataclass(frozen=True)
class Choice:
    """The number of the candidate that was taken for an anchor, the scores of all, and a sheet of their pictures.

    sheet: a file in the job's ``CANDIDATES``: both parents with the candidates between them, in one row.
    """

    number: int
    scores: list[float]
    sheet: str


CANDIDATES = "candidates"
"""Where a job keeps the sheets of its anchors' candidates."""

MATCHES = "matches"
"""Where a job keeps, as 0.png and so on, what was found between the keyframes of each way; see ``panels``."""


@dataclass(frozen=True)
class Curve:
    """Positions on a segment in [0,1], ascending, both ends among them, and LPIPS from each to the next."""

    alphas: list[float]
    gaps: list[float]


@dataclass(frozen=True)
class Shown:
    """The first frames of the way of a number that are shown for good, while others are still to come.

    reels: the name of the folder that holds each. alphas, gaps: their positions, and LPIPS from each to the next.
    warp: the name of the field that brings the ends into register, if any.
    """

    number: int
    reels: list[str]
    alphas: list[float]
    gaps: list[float]
    warp: str | None = None


@dataclass(frozen=True)
class Placed:
    """The frames of the way of a number that are shown: positions, both ends among them, and LPIPS to the next.

    reels: the name of the folder that holds each. round_trips: dB of the knots that were captured, by their
    names. choices: which candidate each anchor was, by its position. measured: all positions that are known,
    those that are not shown among them. warp: the name of the field that brings the ends into register, if any.
    """

    number: int
    reels: list[str]
    alphas: list[float]
    gaps: list[float]
    round_trips: dict[str, float]
    choices: dict[float, Choice]
    measured: Curve
    warp: str | None = None

    @classmethod
    def of(
        cls,
        shown: Shown,
        measured: Curve,
        round_trips: Mapping[str, float] = MappingProxyType({}),
        choices: Mapping[float, Choice] = MappingProxyType({}),
    ) -> Self:
        """All that rendering a way told, once all of its frames are shown."""
        trips, taken = dict(round_trips), dict(choices)
        return cls(shown.number, shown.reels, shown.alphas, shown.gaps, trips, taken, measured, shown.warp)
