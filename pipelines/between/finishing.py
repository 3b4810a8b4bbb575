"""The last step of a frame: from what the model made, at its own size, to a frame of full size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from morph.blending.residual import restored
from morph.scaling import enlarged, size_of
from pipelines.between.register import Register


@dataclass(frozen=True)
class End:
    """A knot as the frames next to it are finished with it.

    reconstruction (1,3,h,w) in [-1,1], what the model makes of it at its own size; residual (1,3,H,W), what to add
    to that, enlarged, to have the knot's pixels at full size.
    """

    reconstruction: Tensor
    residual: Tensor

    @classmethod
    def of(cls, model_pixels: Tensor, reconstruction: Tensor, pixels: Tensor) -> Self:
        """A knot (1,3,h,w), what the model makes of it, and its pixels (1,3,H,W) at full size."""
        size = size_of(pixels)
        # what the model lost, and the detail that it was never shown, of which there is none at equal sizes
        residual = enlarged(model_pixels - reconstruction, size) + (pixels - enlarged(model_pixels, size))
        return cls(reconstruction, residual)


def finished(
    frame: Tensor, alpha: float, ends: tuple[End, End], fade: float, register: Register | None = None
) -> Tensor:
    """The frame (1,3,H,W) in [-1,1] of a frame (1,3,h,w) that the model made at ``alpha`` between two ends.

    ``fade`` is the share of the way over which an end's residual fades out; with 0 the frame is only enlarged.
    ``register`` tells where the frame finds what belongs to its ends, where that is elsewhere.
    """
    if not fade:
        return enlarged(frame, size_of(ends[0].residual)).clamp(-1, 1)
    first, second = ends
    reconstructions, residuals = (first.reconstruction, second.reconstruction), (first.residual, second.residual)
    alphas = torch.tensor([alpha], dtype=torch.float64).to(frame.device, torch.float32)
    if register:
        reconstructions, residuals = register.moved(alpha, reconstructions), register.moved(alpha, residuals)
        alphas = register.shares(alpha, size_of(frame)).to(frame)
    return restored(frame, alphas, reconstructions, residuals, fade)


def dissolved(alpha: float, pixels: tuple[Tensor, Tensor], register: Register | None = None) -> Tensor:
    """Two keyframes (1,3,H,W) laid over one another at ``alpha``, in register where ``register`` says how."""
    frame = register.dissolved(alpha, pixels) if register else torch.lerp(*pixels, alpha)
    return frame.clamp(-1, 1)
