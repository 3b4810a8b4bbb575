"""The noise schedule of a diffusion model, as data apart from whatever integrates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from morph.diffusion.prediction import Prediction
from morph.errors import ModelError, SettingsError

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
        length = round(_number(config, "num_train_timesteps", 1000, 2, 100_000))
        start, end = _number(config, "beta_start", 0.00085, 0, 1), _number(config, "beta_end", 0.012, 0, 1)
        kind = config.get("beta_schedule", "scaled_linear")
        if kind == "scaled_linear":
            betas = torch.linspace(start**0.5, end**0.5, length, dtype=torch.float64) ** 2
        elif kind == "linear":
            betas = torch.linspace(start, end, length, dtype=torch.float64)
        else:
            raise ModelError(f"beta_schedule {kind!r} is not supported; use scaled_linear or linear")
        target = config.get("prediction_type", "epsilon")
        if target not in ("epsilon", "v_prediction"):
            raise ModelError(f"prediction_type {target!r} is not supported; use epsilon or v_prediction")
        spacing = config.get("timestep_spacing", "leading")
        if spacing not in ("leading", "trailing", "linspace"):
            raise ModelError(f"timestep_spacing {spacing!r} is not supported; use leading, trailing or linspace")
        alpha_bar = torch.cumprod(1 - betas, 0)
        final_alpha_bar = 1.0 if config.get("set_alpha_to_one", False) else float(alpha_bar[0])
        return cls(
            alpha_bar, final_alpha_bar, target, spacing, round(_number(config, "steps_offset", 0, 0, length))
        )

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
        if not 1 <= steps < self.length:
            raise SettingsError(f"steps is {steps}; this model's schedule has {self.length} to choose from")
        if self.spacing == "leading":
            stride = self.length // steps
            times = [i * stride + self.offset for i in reversed(range(steps))]
        elif self.spacing == "trailing":
            times = [round(self.length - i * self.length / steps) - 1 for i in range(steps)]
        else:
            times = torch.linspace(self.length - 1, 0, steps, dtype=torch.float64).round().int().tolist()
        # few steps leave out the noisy end by their spacing, many by the remainder of their division
        if times[0] < max(0.6, 0.75 * (1 - 1 / steps)) * self.length:
            raise SettingsError(f"steps is {steps}, which would start this model at time {times[0]}, not in noise")
        times = [*times, CLEAN]
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

    def prediction(self, latents: Tensor, t: int, output: Tensor) -> Prediction:
        """What a network's output (B,C,h,w) says of noisy latents (B,C,h,w) at time t, by its target."""
        alpha_t, sigma_t = (float(level) for level in self.level(t))
        if self.target == "epsilon":
            return Prediction((latents - sigma_t * output) / alpha_t, output)
        # v = alpha eps - sigma z_0 (Salimans & Ho, 2022, appendix D)
        return Prediction(alpha_t * latents - sigma_t * output, sigma_t * latents + alpha_t * output)


def _number(config: Mapping[str, Any], key: str, default: float, least: float, most: float) -> float:
    """A number of a scheduler's config; raises ModelError for anything else."""
    value = config.get(key, default)
    if not isinstance(value, (int, float)) or not least <= value <= most:
        raise ModelError(f"scheduler_config.json: {key} is {value!r:.40}; it must be from {least:g} to {most:g}")
    return value
