"""The way from one fitted keyframe to the next: alphas in, frames out, in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from morph.diffusion import attention, ddim, lora
from morph.diffusion.model import LatentDiffusion, Prediction
from morph.errors import MorphError
from morph.interpolation import adain, lerp, slerp
from pipelines.keyframes import FittedKeyframe, Progress, drain, shared_steps
from pipelines.settings import Settings


class Segment:
    """Frames between two fitted keyframes (DiffMorpher, section 4), each stage a switch of the settings."""

    def __init__(
        self, model: LatentDiffusion, first: FittedKeyframe, second: FittedKeyframe, settings: Settings
    ) -> None:
        self.model = model
        self.first = first
        self.second = second
        self.settings = settings

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,H,W) in [-1,1] at alphas inside (0,1), denoised together, residuals faded in."""
        model, first, second = self.model, self.first, self.second
        alpha = torch.tensor(alphas, dtype=torch.float64).to(model.device, torch.float32)
        latents = slerp(first.noise, second.noise, alpha)
        if self.settings.adain:
            latents = adain(latents, first.noise, second.noise, alpha)
        condition = lerp(first.condition, second.condition, alpha)
        times = model.schedule.times(self.settings.steps)
        shared = set(times[: shared_steps(self.settings)])

        def predict(latents: Tensor, t: int) -> Prediction:
            if t not in shared:
                return model.predict(latents, t, condition)
            with attention.interpolated(model, first.features, second.features, t, alpha):
                return model.predict(latents, t, condition)

        loras = [end.lora for end in (first, second) if end.lora]
        mix = torch.stack([1 - alpha, alpha], dim=1)
        with lora.applied(model, loras, mix):
            sampling = ddim.sample(predict, model.schedule, latents, times)
            latents = drain(sampling, lambda: progress("render", len(alphas)))
        if not latents.isfinite().all():
            raise MorphError("denoising overflowed; try --dtype float32, more steps or a lower lora.learning_rate")
        return self._with_residuals(model.decode(latents), alpha)

    def _with_residuals(self, frames: Tensor, alpha: Tensor) -> Tensor:
        """Fade each end's reconstruction residual over the frames next to it, so that nothing pops there."""
        reach = self.settings.fade
        if reach:
            for residual, distance in ((self.first.residual, alpha), (self.second.residual, 1 - alpha)):
                weight = torch.cos((distance / reach).clamp(max=1) * (torch.pi / 2)).square()
                frames = frames + weight.reshape(-1, 1, 1, 1) * residual
        return frames.clamp(-1, 1)
