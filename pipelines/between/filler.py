"""What a segment asks of whatever makes its frames, so that other kinds of model can make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from pipelines.between.keyframes import Progress


class Filler(Protocol):
    """Fills in between two knots, which stand at 0 and 1."""

    @property
    def forwards(self) -> int:
        """What a frame costs, in U-Net forward equivalents: all that ``progress`` is told of it."""

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,h,w) in [-1,1] at ascending alphas inside (0,1), of the knots' size, made together.

        A frame is the same whichever others are made with it, but for rounding.
        """
