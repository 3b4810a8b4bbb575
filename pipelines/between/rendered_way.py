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
    """Positions on a segment in [0,1], ascending, both ends among them, and LPIPS from each to the next.

    power: how these add up, at their own spacing; see :mod:`morph.pacing`.
    """

    alphas: list[float]
    gaps: list[float]
    power: float = 2.0


@dataclass(frozen=True)
class WayFrames:
    """Frames of a way that are final, from its first one on; perhaps not all of them yet.

    number: the way's. reels: the name of the folder that holds each. alphas, gaps: their positions on the way, and
    LPIPS from each to the next. field: the name of the field that brings the ends into register, if any.
    """

    number: int
    reels: list[str]
    alphas: list[float]
    gaps: list[float]
    field: str | None = None


@dataclass(frozen=True)
class RenderedWay:
    """All frames of a way that are shown, both ends among them, and what rendering it told; see ``WayFrames``.

    round_trips: dB of the knots that were captured, by their names. choices: which candidate each anchor was, by
    its position. measured: all positions that are known, those that are not shown among them. tiled: the
    autoencoder worked in tiles, since memory had run out. rank: of the LoRA of both ends, where the way decided it.
    """

    number: int
    reels: list[str]
    alphas: list[float]
    gaps: list[float]
    round_trips: dict[str, float]
    choices: dict[float, Choice]
    measured: Curve
    field: str | None = None
    tiled: bool = False
    rank: int | None = None

    @classmethod
    def of(
        cls,
        frames: WayFrames,
        measured: Curve,
        round_trips: Mapping[str, float] = MappingProxyType({}),
        choices: Mapping[float, Choice] = MappingProxyType({}),
        tiled: bool = False,
        rank: int | None = None,
    ) -> Self:
        """A way all of whose frames are final."""
        return cls(
            frames.number,
            frames.reels,
            frames.alphas,
            frames.gaps,
            dict(round_trips),
            dict(choices),
            measured,
            frames.field,
            tiled,
            rank,
        )
