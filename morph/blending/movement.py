"""How two pictures' latents move into one another, cell by cell: from what a network sees in both.

Shen et al., "DreamMover: Leveraging the Prior of Diffusion Models for Image Interpolation with Large Motion",
ECCV 2024, with the numbers of the published code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.interpolation import lerp
from morph.blending.splatting import splatted

STEEP, METRIC = -10.0, 10.0
"""What a cell's error is multiplied by to be its metric, and where that is clipped."""
GOOD, LEAST = 0.3, 0.001
"""The error at which noise is as little trusted as can be, and how much that is."""
_ROWS = 2048  # cells compared with all others at a time


@dataclass(frozen=True)
class Movement:
    """Where each cell of either of two pictures of h x w cells is in the other.

    forth, back: (h,w) int64, for the first's cells and the second's: the cell's number, row after row.
    """

    forth: Tensor
    back: Tensor

    @classmethod
    def of(cls, first: Tensor, second: Tensor, size: tuple[int, int]) -> Self:
        """Each cell's most alike of ``size`` (height, width), by cosine of what a network sees of both, (1,C,h,w).

        Each on its own: nothing is smoothed, and there and back need not agree.
        """
        rows = [
            F.normalize(F.interpolate(seen.float(), size, mode="bilinear")[0].flatten(1).T, dim=1)
            for seen in (first, second)
        ]
        found = (
            torch.cat([(part @ others.T).argmax(1) for part in own.split(_ROWS)]).reshape(size)
            for own, others in (rows, rows[::-1])
        )
        return cls(*found)

    def moved(self, first: Tensor, second: Tensor, alpha: Tensor) -> Tensor:
        """Clean latents (B,C,h,w) between both (1,C,h,w), each moved its share of the way, at alphas (B,).

        Where both come to they are mixed by alpha, where one does it is that one, and where neither does it is the
        mix of what stands there. At 0 and 1 it is either end.
        """
        ends = [F.pad(end, (0, 0, 0, 0, 0, 1), value=1.0) for end in (first, second)]  # ones: what is covered
        shares = alpha.reshape(-1, 1, 1, 1)
        parts = []
        for end, error, there, share in zip(
            ends, self._errors(*ends), (self.forth, self.back), (shares, 1 - shares), strict=True
        ):
            metric = (STEEP * error).clamp(-METRIC, METRIC)
            count = len(alpha)
            parts.append(
                splatted(end.expand(count, -1, -1, -1), share * _flow(there), metric.expand(count, -1, -1, -1))
            )
        (moved_first, covered_first), (moved_second, covered_second) = (
            part.tensor_split([-1], 1) for part in parts
        )
        both = covered_first * covered_second
        return (
            lerp(moved_first, moved_second, alpha) * both
            + moved_first * (covered_first - both)
            + moved_second * (covered_second - both)
            + lerp(first, second, alpha) * (1 - (covered_first + covered_second).clamp(max=1))
        )

    def selected(self, first: Tensor, second: Tensor, alpha: Tensor) -> Tensor:
        """Noisy latents (B,C,h,w), each cell that of either end (1,C,h,w), at alphas (B,): the variance stays.

        It is that which differs less from what it moves to, weighed by its share of the way.
        """
        trust_first, trust_second = ((GOOD - error).clamp(LEAST, 1) for error in self._errors(first, second))
        share = alpha.reshape(-1, 1, 1, 1)
        return torch.where(trust_first * (1 - share) >= trust_second * share, first, second)

    def _errors(self, first: Tensor, second: Tensor) -> list[Tensor]:
        """The mean difference (1,1,h,w) of each end's cells from those that they move to, of latents (1,C,h,w)."""
        return [
            (own - other.flatten(2)[:, :, there.flatten()].reshape(own.shape)).abs().mean(1, keepdim=True)
            for own, other, there in ((first, second, self.forth), (second, first, self.back))
        ]


def _flow(there: Tensor) -> Tensor:
    """The way (1,2,h,w), x and y in cells, from each cell to that of a number (h,w)."""
    height, width = there.shape
    rows, columns = (torch.arange(side, device=there.device) for side in (height, width))
    return torch.stack([there % width - columns, there // width - rows[:, None]])[None]
