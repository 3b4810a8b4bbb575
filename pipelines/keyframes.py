"""What is learnt of each keyframe, once: text embedding, LoRA, inverted latents, features and residual."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from morph.diffusion import attention, ddim, lora, textual_inversion
from morph.diffusion.model import Control, LatentDiffusion, Prediction
from morph.diffusion.textual_inversion import Embeddings
from morph.errors import MorphError
from morph.media.keyframe import Keyframe, to_uint8
from morph.perception.detectors import Detector
from morph.perception.pose import Pose, draw
from pipelines.settings import Settings

Progress = Callable[[str, int], None]
"""Told (stage, U-Net forward equivalents just spent); a backward pass counts as two forwards."""
T = TypeVar("T")


@dataclass(frozen=True)
class FittedKeyframe:
    """A keyframe and what the model has learnt of it.

    pixels (1,3,H,W) in [-1,1]; latents (1,C,h,w), clean; condition and negative (1,L,D); lora or None; pose,
    or None if poses guide nothing.
    """

    pixels: Tensor
    latents: Tensor
    condition: Tensor
    negative: Tensor
    lora: lora.Lora | None
    pose: Pose | None = None


@dataclass(frozen=True)
class InvertedKeyframe:
    """A fitted keyframe with all that the frames next to it borrow from it.

    noise (1,C,h,w), the inverted latents; features, its keys and values by timestep and layer; residual
    (1,3,H,W), its pixels minus what the pipeline makes of them; round_trip, PSNR in dB of its latents after
    inversion and sampling.
    """

    keyframe: FittedKeyframe
    noise: Tensor
    features: attention.Features
    residual: Tensor
    round_trip: float


def shared_steps(settings: Settings) -> int:
    """In how many steps, from the noisy end, frames use their ends' keys and values."""
    return round(settings.attention * settings.steps)


def control_of(poses: Sequence[Pose | None], like: Tensor, at: Tensor, scale: float) -> Control | None:
    """What a ControlNet is shown of poses: skeletons of the size of ``like`` (B,3,H,W); None without poses.

    It counts 1 at a keyframe and ``scale`` s halfway: s - 2 |f - 1/2| (s - 1) at position f, ``at`` (B,)
    (Wang & Golland, section 4.3).
    """
    known = [pose for pose in poses if pose is not None]
    if len(known) < len(poses):
        return None
    size = (like.shape[3], like.shape[2])
    images = torch.stack([torch.from_numpy(draw(pose, size)) for pose in known]).to(like.device)
    return Control(images.permute(0, 3, 1, 2).float() / 255, scale - 2 * (at - 0.5).abs() * (scale - 1))


def drain(steps: Generator[object, None, T], tick: Callable[[], None]) -> T:
    """Run a generator to its end, calling ``tick`` after every step; what it returned."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value
        tick()


def fit_keyframes(
    model: LatentDiffusion,
    keyframes: Sequence[Keyframe],
    settings: Settings,
    progress: Progress,
    embeddings: Embeddings | None = None,
    detector: Detector | None = None,
) -> list[FittedKeyframe]:
    """Fit the user's keyframes, in batches: text embeddings, unless they are given, then LoRAs and poses."""
    embeddings = embeddings or fit_embeddings(model, keyframes, settings, progress)
    fitted = []
    for start in range(0, len(keyframes), settings.batch):
        part = slice(start, start + settings.batch)
        pixels = torch.cat([keyframe.pixels for keyframe in keyframes[part]]).to(model.device)
        own = Embeddings(embeddings.conditions[part], embeddings.negative)
        mean, std = model.posterior(pixels)
        made = fit_latents(model, pixels, mean, std, own, settings, progress, start)
        poses = [detector(image) if detector else None for image in to_uint8(pixels)]
        fitted += [replace(keyframe, pose=pose) for keyframe, pose in zip(made, poses, strict=True)]
    return fitted


def fit_embeddings(
    model: LatentDiffusion, keyframes: Sequence[Keyframe], settings: Settings, progress: Progress
) -> Embeddings:
    """Text embeddings of the prompts, by textual inversion if the settings ask for it."""
    embeddings = Embeddings(
        model.embed([keyframe.prompt for keyframe in keyframes]), model.embed([settings.negative])
    )
    options = asdict(settings.textual_inversion)
    if not options["steps"]:
        return embeddings
    pixels = torch.cat([keyframe.pixels for keyframe in keyframes])
    fit = textual_inversion.fit(model, pixels, embeddings.conditions, embeddings.negative, settings.seed, **options)
    return drain(fit, lambda: progress("textual inversion", 6 * len(keyframes)))


def fit_latents(
    model: LatentDiffusion,
    pixels: Tensor,
    mean: Tensor,
    std: Tensor,
    embeddings: Embeddings,
    settings: Settings,
    progress: Progress,
    first: int = 0,
) -> list[FittedKeyframe]:
    """Fit a LoRA to each of K pictures (K,3,H,W), whose latents are normal with this mean and deviation.

    ``first`` is the number of the first of them; noise depends on it.
    """
    count = len(pixels)
    conditions = embeddings.conditions.to(model.device)
    negative = embeddings.negative.to(model.device)
    loras: Sequence[lora.Lora | None] = [None] * count
    if settings.lora.steps:
        fit = lora.fit(model, mean, std, conditions, settings.seed, first=first, **asdict(settings.lora))
        loras = drain(fit, lambda: progress("fit LoRA", 3 * count * settings.lora.draws))
    parts = zip(pixels.split(1), mean.split(1), conditions.split(1), loras, strict=True)
    return [FittedKeyframe(image, z, condition, negative, own) for image, z, condition, own in parts]


def invert_keyframes(
    model: LatentDiffusion,
    keyframes: Sequence[FittedKeyframe],
    settings: Settings,
    progress: Progress,
    positions: Sequence[float] = (0.0, 1.0),
) -> list[InvertedKeyframe]:
    """DDIM inversion of keyframes in one batch, then one pass back that captures features.

    ``positions`` are those of the keyframes between the user's own.
    """
    count = len(keyframes)
    times = model.schedule.times(settings.steps)
    condition = torch.cat([keyframe.condition for keyframe in keyframes])
    mean = torch.cat([keyframe.latents for keyframe in keyframes])
    pixels = torch.cat([keyframe.pixels for keyframe in keyframes])
    loras = [keyframe.lora for keyframe in keyframes if keyframe.lora]
    own = torch.eye(count, len(loras), device=model.device)
    shared = set(times[: shared_steps(settings)])
    features: dict[tuple[int, str], Tensor] = {}

    at = torch.tensor(positions, device=model.device)
    control = control_of([keyframe.pose for keyframe in keyframes], pixels, at, settings.pose.scale)

    def predict(latents: Tensor, t: int) -> Prediction:
        return model.predict(latents, t, condition, control=control)

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
        InvertedKeyframe(
            keyframe,
            noise[i : i + 1],
            {key: value[i : i + 1] for key, value in features.items()},
            residual[i : i + 1],
            float(decibels[i]),
        )
        for i, keyframe in enumerate(keyframes)
    ]
