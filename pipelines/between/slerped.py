"""In-fill without denoising: the clean latents of two knots, slerped and decoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from morph.blending.interpolation import slerp
from morph.diffusion.model import LatentDiffusion
from pipelines.between.keyframes import FittedKeyframe, Progress


class SlerpedInfill:
    """Frames between two knots by Wang & Golland's baseline "interpolate only" (section 4.5), at any position.

    On one great circle a slerp between two slerps is one of the keyframes: anchors and frames are of one kind.
    """

    forwards = 0
    """What a frame costs: nothing is denoised."""

    def __init__(self, model: LatentDiffusion, first: FittedKeyframe, second: FittedKeyframe) -> None:
        self._model = model
        self._latents = first.latents, second.latents

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,h,w) in [-1,1] at alphas inside (0,1); there is no progress to tell of."""
        alpha = torch.tensor(alphas, dtype=torch.float64).to(self._model.device, torch.float32)
        return self._model.decode(slerp(*self._latents, alpha))
