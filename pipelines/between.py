"""What is mixed between two fitted keyframes while a latent is denoised: text, LoRA and guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from morph.diffusion import ddim, lora
from morph.diffusion.model import LatentDiffusion, Prediction
from morph.errors import MorphError
from morph.interpolation import lerp, slerp
from pipelines.keyframes import FittedKeyframe, drain
from pipelines.settings import Settings

MIX = {"lerp": lerp, "slerp": slerp}


class Between:
    """The way between two keyframes, as the denoiser knows it; alphas are positions on it, 0 to 1."""

    def __init__(
        self, model: LatentDiffusion, first: FittedKeyframe, second: FittedKeyframe, settings: Settings
    ) -> None:
        self.model = model
        self.first = first
        self.second = second
        self._mix = MIX[settings.text]
        self._loras = [end.lora for end in (first, second) if end.lora]

    def condition(self, alpha: Tensor) -> Tensor:
        """Text embeddings (B,L,D) at alphas (B,)."""
        return self._mix(self.first.condition, self.second.condition, alpha)

    def denoise(
        self,
        latents: Tensor,
        alpha: Tensor,
        times: Sequence[int],
        tick: Callable[[], None],
        *,
        guidance: float = 1.0,
        during: Callable[[int], AbstractContextManager[None]] = lambda t: nullcontext(),
    ) -> Tensor:
        """Latents (B,C,h,w) at ``times[0]`` brought to ``times[-1]``, each at its own alpha (B,).

        Text is mixed as the settings say, the LoRAs exactly. ``during`` wraps every prediction; ``tick`` is
        called after each.

        Raises:
            MorphError: the network overflowed.
        """
        model = self.model
        alpha = alpha.to(model.device, torch.float32)
        condition = self.condition(alpha)
        negative = None if guidance == 1 else self.first.negative.expand(len(latents), -1, -1)

        def predict(latents: Tensor, t: int) -> Prediction:
            with during(t):
                return model.predict(latents, t, condition, negative=negative, guidance=guidance)

        with lora.applied(model, self._loras, torch.stack([1 - alpha, alpha], dim=1)):
            latents = drain(ddim.sample(predict, model.schedule, latents, times), tick)
        if not latents.isfinite().all():
            raise MorphError("denoising overflowed; try --dtype float32, more steps or a lower lora.learning_rate")
        return latents
