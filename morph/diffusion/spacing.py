"""Which times of its schedule a model visits in so many steps; no torch, so that a plan can ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from morph.errors import ModelError, SettingsError

KINDS = ("leading", "trailing", "linspace")
FLOW = "FlowMatchEulerDiscreteScheduler"
"""The scheduler of diffusers whose configs say the sigmas of a flow."""
Sigmas = Literal["trained", "even", "by steps"]
"""Whether a flow goes from 1 to the least sigma that it was trained at, or to one step before 0; then shifted.

"by steps" is even, and a shift that goes by the size of pictures goes by the number of steps too.
"""
_OTHER_SIGMAS = (
    *("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "invert_sigmas", "stochastic_sampling"),
)


def config_number(config: Mapping[str, Any], key: str, default: float, least: float, most: float) -> float:
    """A number of a scheduler's config, from ``least`` to ``most``; raises ModelError for anything else."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ModelError(f"scheduler_config.json: {key} must be a number from {least:g} to {most:g}")
    return value


@dataclass(frozen=True)
class SizeShift:
    """How far the sigmas of a flow go towards the noise, by how many tokens a picture has.

    mu goes on a line through ``least`` at ``fewest`` tokens and ``most`` at ``many``. kind: exponential, with
    e^mu in place of s in s sigma / (1 + (s - 1) sigma), or linear, with mu.
    """

    kind: str
    fewest: float
    many: float
    least: float
    most: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read a diffusers ``scheduler_config.json``; a ModelError for what is not supported."""
        kind = config.get("time_shift_type", "exponential")
        if kind not in ("exponential", "linear"):
            raise ModelError(f"time_shift_type {kind!r} is not supported; use exponential or linear")
        fewest = config_number(config, "base_image_seq_len", 256, 1, 1e6)
        many = config_number(config, "max_image_seq_len", 4096, 1, 1e6)
        if fewest >= many:
            raise ModelError("scheduler_config.json: base_image_seq_len must be below max_image_seq_len")
        shifts = (config_number(config, *limits, -10, 10) for limits in (("base_shift", 0.5), ("max_shift", 1.15)))
        return cls(kind, fewest, many, *shifts)

    def mu(self, tokens: int, steps: int) -> float:
        """For a picture of so many tokens, in however many steps."""
        return self.least + (self.most - self.least) * (tokens - self.fewest) / (self.many - self.fewest)


@dataclass(frozen=True)
class StepShift:
    """How far FLUX.2's sigmas go towards the noise, by the tokens of a picture and by the number of steps.

    mu goes on a line through what Black Forest Labs found best in 10 and in 200 steps, each of which goes on a line
    by the tokens; for large pictures that of 200 steps holds whatever the steps ("FLUX.2", 2025,
    compute_empirical_mu). kind: as of :class:`SizeShift`; exponential alone, since mu can be below 0.
    """

    kind: str = "exponential"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read a diffusers ``scheduler_config.json``; a ModelError for what is not supported."""
        if (kind := config.get("time_shift_type", cls.kind)) != cls.kind:
            raise ModelError(f"time_shift_type {kind!r} is not supported for this model; use {cls.kind}")
        return cls()

    def mu(self, tokens: int, steps: int) -> float:
        """For a picture of so many tokens, in so many steps."""
        in_10, in_200 = 8.73809524e-05 * tokens + 1.89833333, 0.00016927 * tokens + 0.45666666
        return in_200 if tokens > 4300 else in_10 + (in_200 - in_10) * (steps - 10) / 190


@dataclass(frozen=True)
class FlowSpacing:
    """What the sigmas of a flow model follow from.

    length: how many it was trained at. shift: s in s sigma / (1 + (s - 1) sigma), towards the noise for large
    pictures (Esser et al., 2024, eq. 23), or one that goes by their size. last: what the least sigma is stretched
    to; 0 leaves it.
    """

    length: int
    shift: float | SizeShift | StepShift
    sigmas: Sigmas = "trained"
    last: float = 0.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any], sigmas: Sigmas = "trained") -> Self:
        """Read a diffusers ``scheduler_config.json``.

        Raises:
            ModelError: another scheduler, or sigmas that follow from something else.
        """
        if (kind := config.get("_class_name")) != FLOW:
            raise ModelError(f"scheduler {kind} is not supported for this model; use {FLOW}")
        for key in _OTHER_SIGMAS:
            if config.get(key):
                raise ModelError(f"schedules with {key} are not supported")
        by_size = config.get("use_dynamic_shifting")
        if by_size and sigmas == "trained":
            raise ModelError("schedules with use_dynamic_shifting are not supported for this model")
        sized = StepShift if sigmas == "by steps" else SizeShift
        return cls(
            round(config_number(config, "num_train_timesteps", 1000, 2, 100_000)),
            sized.from_config(config) if by_size else float(config_number(config, "shift", 1.0, 1e-3, 1e3)),
            sigmas,
            float(config_number(config, "shift_terminal", 0.0, 0, 0.5)) if config.get("shift_terminal") else 0.0,
        )

    def check(self, steps: int) -> None:
        """Raise a SettingsError for a number of steps that there are not."""
        if not 1 <= steps <= self.length:
            raise SettingsError(f"steps is {steps}; this model takes 1 to {self.length}")


@dataclass(frozen=True)
class Spacing:
    """length: training timesteps T. kind: one of ``KINDS``. offset: added to each time of "leading"."""

    length: int
    kind: str
    offset: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read a diffusers ``scheduler_config.json``; a ModelError for a spacing that is not supported."""
        kind = config.get("timestep_spacing", "leading")
        if kind not in KINDS:
            raise ModelError(f"timestep_spacing {kind!r} is not supported; use leading, trailing or linspace")
        length = config_number(config, "num_train_timesteps", 1000, 2, 100_000)
        return cls(round(length), kind, round(config_number(config, "steps_offset", 0, 0, length - 1)))

    def times(self, steps: int) -> list[int]:
        """``steps`` times from the noisiest down, spaced as the model's config says.

        Raises:
            SettingsError: a number of steps whose first time, as spaced, is far from pure noise.
        """
        if not 1 <= steps < self.length:
            raise SettingsError(f"steps is {steps}; this model's schedule has {self.length} to choose from")
        times = self._spaced(steps)
        # few steps leave out the noisy end by their spacing, many by the remainder of their division
        if times[0] < max(0.6, 0.75 * (1 - 1 / steps)) * self.length:
            raise SettingsError(
                f"steps is {steps}, which would start this model at time {times[0]}, not in noise"
                f"{self._advice(steps)}"
            )
        return times

    def _spaced(self, steps: int) -> list[int]:
        if self.kind == "leading":
            ratio = self.length // steps
            return [i * ratio + self.offset for i in reversed(range(steps))]
        if self.kind == "trailing":
            return [round(self.length - i * self.length / steps) - 1 for i in range(steps)]
        last = self.length - 1
        step = -last / (steps - 1) if steps > 1 else 0.0
        # from both ends, as torch counts: which way a half is rounded depends on it
        return [
            round(last + step * i if i < steps // 2 or steps == 1 else -step * (steps - 1 - i))
            for i in range(steps)
        ]

    def _advice(self, steps: int) -> str:
        """The nearest number of steps that would do."""

        def works(number: int) -> bool:
            return self._spaced(number)[0] >= max(0.6, 0.75 * (1 - 1 / number)) * self.length

        near = [number for number in range(1, self.length) if works(number)]
        return f": set steps={min(near, key=lambda number: abs(number - steps))}" if near else ""
