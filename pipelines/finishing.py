"""The last step of a frame: from what the model made, at its own size, to a frame of full size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from morph.residual import restored
from morph.scaling import enlarged, size_of
from pipelines.keyframes import CapturedKeyframe


@dataclass(frozen=True)
class End:
    """A knot as the frames next to it are finished with it.

    pixels (1,3,H,W) in [-1,1], at full size; made (1,3,h,w), what the model makes of it at its own size; residual
    (1,3,H,W), what to add to that, enlarged, to have the pixels.
    """

    pixels: Tensor
    made: Tensor
    residual: Tensor

    @classmethod
    def of(cls, captured: CapturedKeyframe, pixels: Tensor) -> Self:
        """A captured knot whose pixels (1,3,H,W) at full size are these."""
        own, size = captured.keyframe.pixels, size_of(pixels)
        # what the model lost, and the detail that it was never shown, of which there is none at equal sizes
        residual = enlarged(captured.residual, size) + (pixels - enlarged(own, size))
        return cls(pixels, own - captured.residual, residual)


def finished(frame: Tensor, alpha: float, ends: tuple[End, End], fade: float) -> Tensor:
    """The frame (1,3,H,W) in [-1,1] of a frame (1,3,h,w) that the model made at ``alpha`` between two ends.

    ``fade`` is the share of the way over which an end's residual fades out; with 0 the frame is only enlarged.
    """
    first, second = ends
    if not fade:
        return enlarged(frame, size_of(first.pixels)).clamp(-1, 1)
    at = torch.tensor([alpha], dtype=torch.float64).to(frame.device, torch.float32)
    return restored(frame, at, (first.made, second.made), (first.residual, second.residual), fade)
