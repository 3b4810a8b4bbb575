"""Where anchors stand, and in which order they are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from morph.errors import SettingsError
from pipelines.request.settings import Anchors, Settings


@dataclass(frozen=True)
class Place:
    """Where an anchor comes from: positions of its parents and its own, in [0,1]; ``weight`` between the two."""

    alpha: float
    left: float
    right: float
    weight: float


@dataclass(frozen=True)
class Level:
    """Anchors that are made together: ``candidates`` of each, noised by ``steps`` and denoised to ``until``."""

    places: tuple[Place, ...]
    steps: int
    until: int
    candidates: int


TOGETHER = 6
"""Steps from one keyframe to the next where anchors are made together: FreeMorph's seven frames."""


def divisions(anchors: Anchors) -> int:
    """In how many equal parts anchors divide a way."""
    return TOGETHER if anchors.depth and anchors.scheme == "together" else 2**anchors.depth


def plan_anchors(settings: Settings) -> list[Level]:
    """The levels of anchors in the order in which they are made.

    At depth 4 and 200 steps, "branch" makes 1, 2, 4 and 8 anchors noised by 110, 93, 76 and 60 steps.

    Raises:
        SettingsError: noise that grows from level to level, or that is less than one step.
    """
    anchors, steps = settings.anchors, settings.steps
    depth, count = anchors.depth, divisions(anchors)
    if not depth:
        return []
    if anchors.scheme == "latent":
        places = tuple(Place(i / count, 0.0, 1.0, i / count) for i in range(1, count))
        return [Level(places, 0, 0, 1)]
    flat = anchors.scheme == "flat"
    shares = np.linspace(anchors.noise_first, anchors.noise_last, count // 2 if flat else depth)
    amounts = (shares * steps).astype(int).tolist()
    if anchors.noise_first < anchors.noise_last:
        raise SettingsError(
            f"anchors.noise_first {anchors.noise_first} is below anchors.noise_last {anchors.noise_last}: "
            "later levels need less noise, not more"
        )
    if min(amounts) == 0 < anchors.noise_last:
        raise SettingsError(f"steps is {steps}: too few to noise anchors by a share of {anchors.noise_last}")
    if anchors.scheme == "together":
        return [Level(tuple(Place(i / count, 0.0, 1.0, i / count) for i in range(1, count)), amounts[0], 0, 1)]
    if flat:  # the nearer to a keyframe, the less noise
        pairs = [sorted({i, count - i}) for i in range(count // 2, 0, -1)]
        return [
            Level(tuple(Place(i / count, 0.0, 1.0, i / count) for i in pair), amount, 0, 1)
            for pair, amount in zip(pairs, amounts, strict=True)
        ]
    levels = []
    for level, amount in enumerate(amounts):
        half = count >> (level + 1)
        places = tuple(
            Place(i / count, (i - half) / count, (i + half) / count, 0.5) for i in range(half, count, 2 * half)
        )
        if anchors.scheme == "cascade":
            levels.append(Level(places, amount, [*amounts, 0][level + 1], 1))
        else:
            candidates = max(anchors.candidates - level, min(anchors.candidates, anchors.candidates_least))
            levels.append(Level(places, amount, 0, candidates))
    return levels
