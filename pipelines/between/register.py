"""Two knots brought into register: where a frame between them finds either, and how far each place has turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from morph.blending.transition import Transition
from morph.blending.warp import Warp
from morph.scaling import Size, size_of
from pipelines.request.alignment import Align


@dataclass(frozen=True)
class Register:
    """Two knots at the places ``span`` between the user's own keyframes, which ``warp`` connects.

    Alphas are positions between the two, 0 at the first, 1 at the second. ``transition`` tells when each place
    turns; without one, all turn alike.
    """

    warp: Warp
    span: tuple[float, float] = (0.0, 1.0)
    transition: Transition | None = None

    @classmethod
    def of(
        cls, first: Tensor, second: Tensor, align: Align, warp: Warp, span: tuple[float, float] = (0.0, 1.0)
    ) -> Self:
        """That of two knots' pictures (1,3,H,W) in [-1,1], as the settings say.

        Between anchors all places turn alike: at times of their own they would stand still, and jump, between every
        two.
        """
        local = align.transition == "local" and span == (0, 1)
        return cls(warp, span, Transition.of(first, second, warp) if local else None)

    def moved(self, alpha: float, pictures: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Pictures (1,C,H,W) of both as they stand in the frame at alpha."""
        first, second, _ = self._places(alpha, size_of(pictures[0]))
        return self.warp.warped(pictures[0], first), self.warp.warped(pictures[1], second)

    def shares(self, alpha: float, size: Size) -> Tensor:
        """How much of the second there is at each place of the frame at alpha, (1,1,H,W) in [0,1]."""
        if self.transition is None:
            return torch.full((1, 1, *size[::-1]), alpha)
        return self.transition.shares(alpha, self._places(alpha, size)[2])

    def dissolved(self, alpha: float, pictures: tuple[Tensor, Tensor]) -> Tensor:
        """Pictures (1,C,H,W) of both laid over one another as they stand in the frame at alpha."""
        first, second, halfway = self._places(alpha, size_of(pictures[0]))
        share = alpha if self.transition is None else self.transition.shares(alpha, halfway)
        return torch.lerp(self.warp.warped(pictures[0], first), self.warp.warped(pictures[1], second), share)

    def _places(self, alpha: float, size: Size) -> tuple[Tensor, Tensor, Tensor]:
        start, end = self.span
        return self.warp.places(start + (end - start) * alpha, size, self.span)
