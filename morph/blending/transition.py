"""When each place of a morph turns from the first picture into the second.

That places may turn at different times is as old as morphing: "transition control" in Wolberg, "Image morphing: a
survey", The Visual Computer 14, 1998. There an artist draws it; here it follows from what was found in both.
What matches changes all along the way. Where nothing matches, two pictures over one another would be a ghost: such
a place turns quickly, and the sooner, the more there is to see in the second picture and the less in the first. So
shapes come early to where there was none, and go late from where there will be none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.local import local_mean
from morph.blending.warp import Warp, cells

SIDE = 256
"""Places along either side of a square at which the pictures are compared."""
QUICK = 0.3
"""The share of the way that a place takes where nothing matches."""
SPREAD = 0.35
"""How much sooner or later than halfway it turns at most; with half of QUICK it ends at 0 and 1."""
FINE, AROUND, WIDE = 9, 21, 33
"""Windows, in such places: what is finer than the first counts as contrast, of the second's surroundings; trust is
smoothed over the third."""
LEAST = 1e-3
"""The variance that a plain place is taken to have, of pictures in [-1,1]."""
STEEP = 0.5
"""How fast a place's turn moves with the logarithm of both variances' ratio."""


@dataclass(frozen=True)
class Transition:
    """When each place of the halfway picture turns.

    halfway: (1,2,h,w), when a place is half turned, in (0,1), and how far its match is trusted, in [0,1].
    """

    halfway: Tensor
    warp: Warp

    @classmethod
    def of(cls, first: Tensor, second: Tensor, warp: Warp) -> Self:
        """Of two pictures (1,3,H,W) in [-1,1] that ``warp`` brings into register.

        The pictures swapped turn the other way round.
        """
        rows, columns = cells(warp.extent, SIDE)
        *places, halfway_places = warp.places(0.5, (columns, rows))
        first_contrast, second_contrast = (
            _contrast(warp.warped(_coarse(picture, (columns, rows)), place))
            for picture, place in zip((first, second), places, strict=True)
        )
        trust = local_mean(warp.trusted(halfway_places)[None, None], WIDE)
        ratio = local_mean((first_contrast / second_contrast).log(), AROUND)
        turn = 0.5 + SPREAD * (1 - trust) * torch.tanh(STEEP * ratio)
        return cls(torch.cat([turn, trust], 1), warp)

    def shares(self, alpha: float, halfway: Tensor) -> Tensor:
        """How much of the second picture there is in the frame at alpha, where its halfway points (H,W,2) are.

        (1,1,H,W) in [0,1], 0 everywhere at 0 and 1 at 1; see :meth:`morph.blending.warp.Warp.places`.
        """
        turn, trust = self.warp.looked_up(self.halfway, halfway).split(1, 1)
        quick = ((alpha - turn) / torch.lerp(torch.tensor(QUICK), torch.tensor(1.0), trust) + 0.5).clamp(0, 1)
        return torch.lerp(quick * quick * (3 - 2 * quick), torch.full_like(trust, alpha), trust)


def _coarse(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(picture.cpu().float(), size[::-1], mode="bilinear", align_corners=False, antialias=True)


def _contrast(picture: Tensor) -> Tensor:
    """The variance (1,1,h,w) of what is fine in a picture (1,3,h,w), around every place."""
    fine = (picture - local_mean(picture, FINE)).square().mean(1, keepdim=True)
    return local_mean(fine, AROUND) + LEAST
