"""Where a part of one picture is in another, and how many times as large."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.warp import cells
from morph.perception.common import SIDE
from morph.perception.smooth import Fixed

RUNG = 1.6
_SMALL, _LARGE = round(SIDE / RUNG), round(SIDE * RUNG)
RATIOS = {
    RUNG**-2: (_SMALL, _LARGE),
    1 / RUNG: (_SMALL, SIDE),
    1.0: (SIDE, SIDE),
    RUNG: (SIDE, _SMALL),
    RUNG**2: (_LARGE, _SMALL),
}
"""How many times as large things may be in the second picture, and how large both are looked at for that: a network
sees a thing alike where it is as many pixels wide."""
PLACES = 24
"""Places that are compared along either side of a square."""
SHIFTS = 21
"""Shifts that are tried along either axis."""
LEAST_COVER = 0.25
"""The least part of the pictures, the geometric mean of both shares, that may match."""
SURE = 0.5
"""From where on between a middling match and the best tenth a place is taken to match."""


@dataclass(frozen=True)
class Placement:
    """What is at p in the first picture is at ``ratio`` p + shift in the second, as far as that matches.

    score: how much better than middling it matches, and the more of both pictures, the better. places: halfway
    places that match, and the field there.
    """

    ratio: float
    score: float
    places: Fixed

    @classmethod
    def of(cls, features: Tensor, ratio: float, extent: tuple[float, float]) -> Self:
        """The best of all shifts, by features (2,C,h,w) of both pictures."""
        rows, columns = cells(extent, PLACES)
        sides = torch.tensor(extent)
        first, second = F.normalize(
            F.interpolate(features, size=(rows, columns), mode="bilinear", align_corners=False), dim=1
        ).flatten(2)
        similarities = (first.T @ second).unflatten(1, (1, rows, columns))
        y, x = torch.meshgrid(
            ((torch.arange(rows) + 0.5) / rows * 2 - 1) * extent[1],
            ((torch.arange(columns) + 0.5) / columns * 2 - 1) * extent[0],
            indexing="ij",
        )
        points = torch.stack([x, y], -1).reshape(-1, 1, 2)
        steps = torch.linspace(-1, 1, SHIFTS) * (1 + ratio) * 0.75
        shifts = torch.cartesian_prod(steps * extent[0], steps * extent[1])
        found = ratio * points + shifts  # (places, shifts, 2)
        inside = (found.abs() < sides).all(2)
        values = F.grid_sample(similarities, (found / sides)[:, :, None], align_corners=False)[:, 0, :, 0] * inside
        counts = inside.sum(0)
        share = counts / len(points)
        cover = (share * (share * ratio**2).clamp(max=1)).sqrt()
        middling = similarities.mean()
        scores = (values.sum(0) / counts.clamp(min=1) - middling) * cover.sqrt()
        best = int(scores.masked_fill(cover < LEAST_COVER, -math.inf).argmax())
        here, value = inside[:, best], values[:, best].reshape(1, 1, rows, columns)
        area = here.float().reshape(1, 1, rows, columns)
        smoothed = (F.avg_pool2d(value, 3, 1, 1) / F.avg_pool2d(area, 3, 1, 1).clamp_min(1 / 9)).flatten()
        limit = torch.lerp(middling, smoothed[here].quantile(0.9), SURE)
        matching = here & (smoothed > limit)
        starts, ends = points[matching, 0], found[matching, best]
        return cls(ratio, float(scores[best]), Fixed((starts + ends) / 2, (ends - starts) / 2))
