"""The noise schedules of diffusion and of flow models, as data apart from whatever integrates them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from morph.diffusion.parts import Levels
from morph.diffusion.prediction import Prediction
from morph.diffusion.spacing import FlowSpacing, Sigmas, Spacing, config_number
from morph.errors import ModelError

CLEAN = -1
"""The time of a latent without noise: what a sampler ends on and an inversion starts from."""

Target = Literal["epsilon", "v_prediction"]
PARTS = 1_000_000
"""Of sigma, in a flow's times: whole numbers, as those of a diffusion are."""


class Schedule(ABC):
    """z_t = alpha_t z_0 + sigma_t eps: how much of a picture and of noise there is at a time, a whole number.

    Whatever alpha and sigma are, a network's belief in z_0 and eps gives the step to any other time: one sampler
    and one inversion serve all.
    """

    @property
    @abstractmethod
    def length(self) -> int:
        """The times that a network was trained at are whole numbers from 0 below this."""

    @abstractmethod
    def spaced(self, steps: int, tokens: int) -> tuple[int, ...]:
        """``steps`` + 1 times from the noisiest down to ``CLEAN``, spaced as the model's config says.

        ``tokens`` are those of the picture, which large ones may be noised longer for.

        Raises:
            SettingsError: a number of steps that the model cannot take.
        """

    @abstractmethod
    def level(self, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """(alpha_t, sigma_t), float64: scalars for a time, (B,1,1,1) for a batch of times (B,)."""

    @abstractmethod
    def identity(self, scale: Levels, shift: Levels) -> str:
        """What tells a model's schedule, and the scaling of its latents, from all others."""

    @abstractmethod
    def wanted(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What a network is trained to say (B,C,h,w) of clean latents noised to times t (B,)."""

    @abstractmethod
    def prediction(self, latents: Tensor, t: int, output: Tensor) -> Prediction:
        """What a network's output (B,C,h,w) says of noisy latents (B,C,h,w) at time t."""

    @abstractmethod
    def moved(self, latents: Tensor, s: int, t: int, believed: Prediction) -> tuple[Tensor, Tensor]:
        """Latents (B,C,h,w) at time s brought to a time t, noisier or cleaner, along what is believed.

        An Euler step: with what is believed of the latents it is the one that a sampler takes, and with what is
        believed of the result that one backwards. The second (B,C,h,w) are the clean latents that this way comes
        from.
        """

    @abstractmethod
    def halfway(self, s: int, t: int) -> int:
        """The time in the middle of an Euler step, not below 0; nearest to it where times are few."""

    def times(self, steps: int, taken: int | None = None, tokens: int = 0, skip: float = 0.0) -> tuple[int, ...]:
        """Those of :meth:`spaced`; with ``taken``, only that many steps, each as wide as several.

        They go from and to the same times. ``skip`` is the share of the steps, from the noisy end, that are left
        out, before any others; one is left at least.
        """
        times = self.spaced(steps, tokens)[round(skip * (steps - 1)) :]
        steps = len(times) - 1
        if taken is not None and taken < steps:
            return tuple(times[round(step * steps / taken)] for step in range(taken + 1))
        return times

    def noise(self, clean: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """Clean latents and noise (B,C,H,W) at time t: alpha_t z_0 + sigma_t eps, in the latents' dtype."""
        alpha_t, sigma_t = (level.to(clean) for level in self.level(t))
        return alpha_t * clean + sigma_t * eps


@dataclass(frozen=True)
class VariancePreserving(Schedule):
    """Diffusion models': alpha_t^2 + sigma_t^2 = 1.

    ``alpha_bar`` is (T,) float64, alpha_t squared; ``final_alpha_bar`` the same at time ``CLEAN``;
    ``target`` what the network was trained to predict.
    """

    alpha_bar: Tensor
    final_alpha_bar: float
    target: Target
    spacing: str
    offset: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> VariancePreserving:
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

    def spaced(self, steps: int, tokens: int) -> tuple[int, ...]:
        """See :class:`Schedule`; a first time that is far from pure noise is refused."""
        return *Spacing(self.length, self.spacing, self.offset).times(steps), CLEAN

    def level(self, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Schedule`."""
        if isinstance(t, Tensor):
            alpha_bar = self.alpha_bar[t.cpu()].reshape(-1, 1, 1, 1)
        else:
            alpha_bar = torch.tensor(self.final_alpha_bar if t == CLEAN else float(self.alpha_bar[t])).double()
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def halfway(self, s: int, t: int) -> int:
        """See :class:`Schedule`; by sigma / alpha, along which DDIM's are Euler steps."""
        clean, noisy = sorted((s, t))
        ratio = (1 / self.alpha_bar[max(clean, 0) : noisy + 1] - 1).sqrt()
        ends = [sigma / alpha for alpha, sigma in map(self.level, (s, t))]
        return max(clean, 0) + int((ratio - sum(ends) / 2).abs().argmin())

    def moved(self, latents: Tensor, s: int, t: int, believed: Prediction) -> tuple[Tensor, Tensor]:
        """See :class:`Schedule`; by the noise, which changes least on the way."""
        alpha_s, sigma_s = (float(level) for level in self.level(s))
        clean = (latents - sigma_s * believed.noise) / alpha_s
        return self.noise(clean, believed.noise, t), clean

    def identity(self, scale: Levels, shift: Levels) -> str:
        """See :class:`Schedule`."""
        noise_schedule = (self.alpha_bar.tolist(), self.target, self.spacing)
        return repr((noise_schedule, (scale, shift, self.final_alpha_bar, self.offset)))

    def wanted(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """See :class:`Schedule`."""
        if self.target == "epsilon":
            return noise
        alpha_t, sigma_t = (level.to(clean) for level in self.level(t))
        return alpha_t * noise - sigma_t * clean

    def prediction(self, latents: Tensor, t: int, output: Tensor) -> Prediction:
        """See :class:`Schedule`."""
        alpha_t, sigma_t = (float(level) for level in self.level(t))
        if self.target == "epsilon":
            return Prediction((latents - sigma_t * output) / alpha_t, output)
        # v = alpha eps - sigma z_0 (Salimans & Ho, 2022, appendix D)
        return Prediction(alpha_t * latents - sigma_t * output, sigma_t * latents + alpha_t * output)


@dataclass(frozen=True)
class Flow(Schedule):
    """Flow models': alpha is 1 - sigma, on the straight line from a picture to noise (Lipman et al., 2023).

    A time is sigma in ``PARTS``; sigmas are those of diffusers' FlowMatchEulerDiscreteScheduler.
    """

    spacing: FlowSpacing

    @classmethod
    def from_config(cls, config: Mapping[str, Any], sigmas: Sigmas = "trained") -> Flow:
        """Read a diffusers ``scheduler_config.json``; see :meth:`FlowSpacing.from_config`."""
        return cls(FlowSpacing.from_config(config, sigmas))

    @property
    def length(self) -> int:
        """See :class:`Schedule`."""
        return PARTS

    def spaced(self, steps: int, tokens: int) -> tuple[int, ...]:
        """See :class:`Schedule`."""
        from diffusers import FlowMatchEulerDiscreteScheduler

        spacing, by_size = self.spacing, self.spacing.shift
        spacing.check(steps)
        shifts: dict[str, Any] = {"shift": by_size}
        given: dict[str, Any] = {}
        if spacing.sigmas != "trained":
            given["sigmas"] = [1 - step / steps for step in range(steps)]
        if not isinstance(by_size, float):
            shifts = {"use_dynamic_shifting": True, "time_shift_type": by_size.kind}
            given["mu"] = by_size.mu(tokens, steps)
        scheduler: Any = FlowMatchEulerDiscreteScheduler(
            num_train_timesteps=spacing.length,
            shift_terminal=spacing.last if spacing.last and steps > 1 else None,  # of one, the first is the last
            **shifts,
        )
        times: list[int] = []
        try:
            if given.get("mu", 1) > 0 or shifts.get("time_shift_type") != "linear":  # which divides by mu
                scheduler.set_timesteps(steps, **given)
                times = [round(float(sigma) * PARTS) for sigma in scheduler.sigmas[:-1]]
        except (ValueError, OverflowError):  # what is no number
            times = []
        if not times or not PARTS >= times[0] >= times[-1] > 0 or times != sorted(times, reverse=True):
            raise ModelError(f"scheduler_config.json: its shifts give no times of {steps} steps for such pictures")
        return *times, CLEAN

    def level(self, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Schedule`."""
        time = t.cpu().reshape(-1, 1, 1, 1) if isinstance(t, Tensor) else torch.tensor(0 if t == CLEAN else t)
        sigma = time.double() / PARTS
        return 1 - sigma, sigma

    def halfway(self, s: int, t: int) -> int:
        """See :class:`Schedule`; by sigma."""
        return (max(s, 0) + max(t, 0)) // 2

    def moved(self, latents: Tensor, s: int, t: int, believed: Prediction) -> tuple[Tensor, Tensor]:
        """See :class:`Schedule`; by the velocity: near sigma 1 what is believed to be noise is the latents."""
        sigma_s, sigma_t = (float(self.level(time)[1]) for time in (s, t))
        velocity = believed.noise - believed.clean
        return latents + (sigma_t - sigma_s) * velocity, latents - sigma_s * velocity

    def identity(self, scale: Levels, shift: Levels) -> str:
        """See :class:`Schedule`."""
        return repr((self.spacing, scale, shift))

    def wanted(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The velocity: noise - z_0."""
        return noise - clean

    def prediction(self, latents: Tensor, t: int, output: Tensor) -> Prediction:
        """See :class:`Schedule`."""
        alpha_t, sigma_t = (float(level) for level in self.level(t))
        return Prediction(latents - sigma_t * output, latents + alpha_t * output)
