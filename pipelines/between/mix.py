"""What is mixed between two fitted keyframes while a latent is denoised: text, LoRA and guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from morph.blending.warp import Warp
from morph.diffusion import ddim, lora
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import classifier_free, conditioned
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Control, Prediction
from morph.errors import MorphError
from morph.perception.pose import Pose, interpolate
from morph.scaling import size_of
from pipelines.between.keyframes import FittedKeyframe, control_of, drain
from pipelines.request.settings import Settings

MIX = {"lerp": Condition.lerp, "slerp": Condition.slerp}


class Between:
    """The way between two keyframes, as the denoiser knows it; alphas are positions on it, 0 to 1.

    ``span`` is where the two stand between the user's own keyframes, which ``warp`` brings into register.
    """

    def __init__(
        self,
        model: LatentDiffusion,
        first: FittedKeyframe,
        second: FittedKeyframe,
        settings: Settings,
        span: tuple[float, float] = (0.0, 1.0),
        warp: Warp | None = None,
    ) -> None:
        self.model = model
        self.first = first
        self.second = second
        self._mix = MIX[settings.text]
        self._scale = settings.pose.scale
        self._span = span
        self._warp = warp
        self._fitted = [side for side, end in enumerate((first, second)) if end.lora]
        self._loras = [end.lora for end in (first, second) if end.lora]

    def condition(self, alpha: Tensor) -> Condition:
        """The texts (B) at alphas (B,)."""
        return self._mix(self.first.condition, self.second.condition, alpha)

    def latents(self, picture: Tensor, latents: Tensor, at: float, alpha: float) -> Tensor:
        """Latents (1,C,h,w) of a picture (1,3,H,W) that stands at ``at``, as it is in the frame at alpha.

        Those given are of the picture as it is: latents themselves cannot be warped.
        """
        if self._warp is None:
            return latents
        place, _, _ = self._warp.places(alpha, size_of(picture), (at, at))
        return self.model.encode(self._warp.warped(picture, place).clamp(-1, 1))

    def pose(self, alpha: float) -> Pose | None:
        """The pose at alpha, if the keyframes have theirs."""
        if self.first.pose is None or self.second.pose is None:
            return None
        return interpolate(self.first.pose, self.second.pose, alpha)

    def control(self, alpha: Tensor) -> Control | None:
        """What the ControlNet is shown at alphas (B,)."""
        start, end = self._span
        poses = [self.pose(at) for at in alpha.tolist()]
        return control_of(poses, self.first.pixels, start + (end - start) * alpha, self._scale)

    def denoise(
        self,
        latents: Tensor,
        alpha: Tensor,
        times: Sequence[int],
        tick: Callable[[Step], None],
        *,
        guidance: float = 1.0,
        during: Callable[[int], AbstractContextManager[None]] = lambda t: nullcontext(),
    ) -> Tensor:
        """Latents (B,C,h,w) at ``times[0]`` brought to ``times[-1]``, each at its own alpha (B,).

        Text is mixed as the settings say, the LoRAs exactly. ``during`` wraps every prediction; ``tick`` is
        handed every step.

        Raises:
            MorphError: the network overflowed.
        """
        model = self.model
        alpha = alpha.to(model.device, torch.float32)
        condition = self.condition(alpha)
        control = self.control(alpha)
        guided = (
            conditioned(model.conditional(control), condition)
            if guidance == 1
            else classifier_free(model.conditional(control), condition, self.first.negative, guidance)
        )

        def predict(latents: Tensor, t: int) -> Prediction:
            with during(t):
                return guided(latents, t)

        with lora.applied(model, self._loras, torch.stack([1 - alpha, alpha], dim=1)[:, self._fitted]):
            latents = drain(ddim.sample(predict, model.schedule, latents, times), tick)
        if not latents.isfinite().all():
            raise MorphError("denoising overflowed; try --dtype float32, more steps or a lower lora.learning_rate")
        return latents
