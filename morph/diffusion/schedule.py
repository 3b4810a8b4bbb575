"""The noise schedule of a diffusion model, as data apart from whatever integrates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from morph.diffusion.prediction import Prediction
from morph.diffusion.spacing import Spacing, config_number
from morph.errors import ModelError

CLEAN = -1
"""The time of a latent without noise: what a sampler ends on and an inversion starts from."""

Target = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Schedule:
    """A variance-preserving schedule: z_t = alpha_t z_0 + sigma_t eps with alpha_t^2 + sigma_t^2 = 1.

    ``alpha_bar`` is (T,) float64, alpha_t squared; ``final_alpha_bar`` the same at time ``CLEAN``;
    ``target`` what the network was trained to predict.
    """

    alpha_bar: Tensor
    final_alpha_bar: float
    target: Target
    spacing: str
    offset: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """Read a diffusers ``scheduler_config.json``, whichever scheduler class wrote it."""
        for key in ("trained_betas", "rescale_betas_zero_snr", "thresholding"):
            if config.get(key):
                raise ModelError(f"schedules with {key} are not supported")
        spacing = Spacing.from_config(config)
        start, end = (
            config_number(config, "beta_start", 0.00085, 0, 1),
            config_number(config, "beta_end", 0.012, 0, 1),
        )
        kind = config.get("beta_schedule", "scaled_linear")
        if kind == "scaled_linear":
            betas = torch.linspace(start**0.5, end**0.5, spacing.length, dtype=torch.float64) ** 2
        elif kind == "linear":
            betas = torch.linspace(start, end, spacing.length, dtype=torch.float64)
        else:
            raise ModelError(f"beta_schedule {kind!r} is not supported; use scaled_linear or linear")
        target = config.get("prediction_type", "epsilon")
        if target not in ("epsilon", "v_prediction"):
            raise ModelError(f"prediction_type {target!r} is not supported; use epsilon or v_prediction")
        alpha_bar = torch.cumprod(1 - betas, 0)
        final = 1.0 if config.get("set_alpha_to_one", False) else float(alpha_bar[0])
        return cls(alpha_bar, final, target, spacing.kind, spacing.offset)

    @property
    def length(self) -> int:
        """Number of training timesteps T."""
        return len(self.alpha_bar)

    def times(self, steps: int, taken: int | None = None) -> tuple[int, ...]:
        """``steps`` + 1 times from the noisiest down to ``CLEAN``, spaced as the model's config says.

        With ``taken``, only that many of the steps, each as wide as several, from and to the same times.

        Raises:
            SettingsError: a number of steps whose first time, as spaced, is far from pure noise.
        """
        times = [*Spacing(self.length, self.spacing, self.offset).times(steps), CLEAN]
        if taken is not None and taken < steps:
            return tuple(times[round(step * steps / taken)] for step in range(taken + 1))
        return tuple(times)

    def level(self, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """(alpha_t, sigma_t), float64: scalars for a time, (B,1,1,1) for a batch of times (B,)."""
        if isinstance(t, Tensor):
            alpha_bar = self.alpha_bar[t.cpu()].reshape(-1, 1, 1, 1)
        else:
            alpha_bar = torch.tensor(self.final_alpha_bar if t == CLEAN else float(self.alpha_bar[t])).double()
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def noise(self, clean: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """Clean latents and noise (B,C,H,W) at time t: alpha_t z_0 + sigma_t eps, in the latents' dtype."""
        alpha_t, sigma_t = (level.to(clean) for level in self.level(t))
        return alpha_t * clean + sigma_t * eps

    def identity(self, scale: float, shift: float) -> str:
        """What tells a model's schedule, and the scaling of its latents, from all others."""
        noise_schedule = (self.alpha_bar.tolist(), self.target, self.spacing)
        return repr((noise_schedule, (scale, shift, self.final_alpha_bar, self.offset)))

    def wanted(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What a network is trained to say (B,C,h,w) of clean latents noised to times t (B,)."""
        if self.target == "epsilon":
            return noise
        alpha_t, sigma_t = (level.to(clean) for level in self.level(t))
        return alpha_t * noise - sigma_t * clean

    def prediction(self, latents: Tensor, t: int, output: Tensor) -> Prediction:
        """What a network's output (B,C,h,w) says of noisy latents (B,C,h,w) at time t, by its target."""
        alpha_t, sigma_t = (float(level) for level in self.level(t))
        if self.target == "epsilon":
            return Prediction((latents - sigma_t * output) / alpha_t, output)
        # v = alpha eps - sigma z_0 (Salimans & Ho, 2022, appendix D)
        return Prediction(alpha_t * latents - sigma_t * output, sigma_t * latents + alpha_t * output)
