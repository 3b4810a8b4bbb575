"""In-fill between two neighbouring knots, keyframes or anchors: alphas in, frames out, in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from morph import random
from morph.blending.interpolation import adain, slerp
from morph.diffusion import attention
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from pipelines.between.denoising import denoise
from pipelines.between.keyframes import CapturedKeyframe, Progress, shared_times
from pipelines.between.pair import Pair
from pipelines.request.settings import Settings


class Infill:
    """Frames between two knots (DiffMorpher, section 4), each stage a switch of the settings.

    Frames are denoised at the times at which the two were captured. ``span`` is where the two stand between the
    user's own keyframes.
    """

    def __init__(
        self,
        model: LatentDiffusion,
        first: CapturedKeyframe,
        second: CapturedKeyframe,
        settings: Settings,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.first = first
        self.second = second
        self.settings = settings
        self._model = model
        self._pair = Pair.of(first.keyframe, second.keyframe, settings, span)

    @property
    def forwards(self) -> int:
        """What a frame costs: a prediction at each step."""
        return len(self.first.times) - 1

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,h,w) in [-1,1] at alphas inside (0,1), denoised together, as the model makes them."""
        model, first, second = self._model, self.first, self.second
        alpha = torch.tensor(alphas, dtype=torch.float64).to(model.device, torch.float32)
        sharing_times = shared_times(first.times, self.settings)

        def during(t: int) -> AbstractContextManager[None]:
            if t not in sharing_times:
                return nullcontext()
            return attention.shared(model, first.features, second.features, t, alpha, self.settings.sharing)

        def tick(step: Step) -> None:
            progress("render", len(alphas), lambda: self._pair.preview.image(step.clean[:1]))

        latents = self._mixed_noise(alpha)
        return model.decode(denoise(model, self._pair, latents, alpha, first.times, tick, during=during))

    def _mixed_noise(self, alpha: Tensor) -> Tensor:
        """Latents (B,C,h,w) that frames at alphas (B,) start from: those of both knots, mixed, and fresh noise."""
        first, second = self.first.noise, self.second.noise
        latents = slerp(first, second, alpha)
        if self.settings.noise:
            latents = self._with_fresh_noise(latents, alpha)
        return adain(latents, first, second, alpha) if self.settings.adain else latents

    def _with_fresh_noise(self, latents: Tensor, alpha: Tensor) -> Tensor:
        """Mix in noise, the same for all frames, none at the ends and most halfway.

        Inverted latents are less like noise than the model expects, and between two of them both pictures show;
        it paints better from what is (as Zheng et al. found, "NoiseDiffusion", arXiv 2403.08840).
        """
        fresh = random.normal(latents.shape[1:], self.settings.seed, "in-fill").to(latents)
        share = (self.settings.noise * (torch.pi * alpha).sin()).reshape(-1, 1, 1, 1)
        return (1 - share.square()).sqrt() * latents + share * fresh
