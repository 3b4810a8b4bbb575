"""Fit keyframes once: text embedding, LoRA, inversion, features and residual; all keyframes in one batch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch
from torch import Tensor

from morph.diffusion import attention, ddim, lora
from morph.diffusion.model import LatentDiffusion, Prediction
from morph.errors import MorphError
from morph.media.keyframe import Keyframe
from pipelines.settings import Settings

Progress = Callable[[str, int], None]
"""Told (stage, U-Net forward equivalents just spent); a backward pass counts as two forwards."""
T = TypeVar("T")


@dataclass(frozen=True)
class FittedKeyframe:
    """A keyframe and everything that the frames next to it borrow from it.

    pixels (1,3,H,W) in [-1,1]; condition (1,L,D); lora or None; noise (1,C,h,w), the inverted latents;
    features, its keys and values by timestep and layer; residual (1,3,H,W), its pixels minus what the
    pipeline makes of them; round_trip, PSNR in dB of its latents after inversion and sampling.
    """

    pixels: Tensor
    condition: Tensor
    lora: lora.Lora | None
    noise: Tensor
    features: attention.Features
    residual: Tensor
    round_trip: float


def shared_steps(settings: Settings) -> int:
    """In how many steps, from the noisy end, frames use their ends' keys and values."""
    return round(settings.attention * settings.steps)


def drain(steps: Generator[object, None, T], tick: Callable[[], None]) -> T:
    """Run a generator to its end, calling ``tick`` after every step; what it returned."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value
        tick()


def fit_keyframes(
    model: LatentDiffusion, keyframes: Sequence[Keyframe], settings: Settings, progress: Progress
) -> list[FittedKeyframe]:
    """Fit all keyframes together: LoRA, DDIM inversion, then one pass back that captures features."""
    count = len(keyframes)
    times = model.schedule.times(settings.steps)
    pixels = torch.cat([keyframe.pixels for keyframe in keyframes]).to(model.device)
    condition = model.embed([keyframe.prompt for keyframe in keyframes])
    mean, std = model.posterior(pixels)
    loras: list[lora.Lora] = []
    if settings.lora.steps:
        fit = lora.fit(model, mean, std, condition, settings.seed, **asdict(settings.lora))
        loras = drain(fit, lambda: progress("fit LoRA", 3 * count * settings.lora.draws))

    own = torch.eye(count, len(loras), device=model.device)
    shared = set(times[: shared_steps(settings)])
    features: dict[tuple[int, str], Tensor] = {}

    def predict(latents: Tensor, t: int) -> Prediction:
        return model.predict(latents, t, condition)

    def predict_and_keep(latents: Tensor, t: int) -> Prediction:
        if t not in shared:
            return predict(latents, t)
        with attention.captured(model, features, t):
            return predict(latents, t)

    with lora.applied(model, loras, own):
        inversion = ddim.invert(predict, model.schedule, mean, times, settings.inversion_iterations)
        noise = drain(inversion, lambda: progress("invert", count * settings.inversion_iterations))
        back = ddim.sample(predict_and_keep, model.schedule, noise, times)
        latents = drain(back, lambda: progress("capture ends", count))
    if not latents.isfinite().all():
        raise MorphError("the inversion overflowed; try --dtype float32, more steps or a lower lora.learning_rate")
    residual = pixels - model.decode(latents)
    errors = (latents - mean).square().flatten(1).mean(1)
    spans = mean.flatten(1).amax(1) - mean.flatten(1).amin(1)
    decibels = 10 * torch.log10(spans.square() / errors.clamp_min(1e-20))
    return [
        FittedKeyframe(
            pixels[i : i + 1],
            condition[i : i + 1],
            loras[i] if loras else None,
            noise[i : i + 1],
            {key: value[i : i + 1] for key, value in features.items()},
            residual[i : i + 1],
            float(decibels[i]),
        )
        for i in range(count)
    ]
