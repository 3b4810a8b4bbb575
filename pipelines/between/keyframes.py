"""What is learnt of each keyframe, once: text embedding, LoRA, inverted latents, features and residual."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from morph.diffusion import attention, lora, textual_inversion
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.exchange import Heard
from morph.diffusion.guidance import guided, guides, passes
from morph.diffusion.lora import Lora
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Control, Prediction, Predictor
from morph.diffusion.solvers import Likeness, solver_of
from morph.diffusion.textual_inversion import Embeddings
from morph.errors import MorphError
from morph.media.keyframe import to_uint8
from morph.perception.detectors import Detector
from morph.perception.pose import KEYPOINTS, Person, Pose, draw
from morph.semantic.codes import codes_of
from morph.steps import drain
from pipelines.between.hearing import Hearing
from pipelines.request.fitting import Lora as LoraSettings
from pipelines.request.settings import Settings


class Progress(Protocol):
    """Is told what has just been done."""

    def __call__(self, stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
        """A stage has spent so many U-Net forward equivalents; a backward pass counts as two forwards.

        ``preview`` makes a small, cheap picture of the first frame that is being made, as it looks by now, whenever
        it is called; None where there is nothing to see.
        """


def silent(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
    """The progress that tells nobody."""


@dataclass(frozen=True)
class FittedKeyframe:
    """A keyframe at the size the model works at, and what the model has learnt of it.

    pixels (1,3,h,w) in [-1,1]; latents (1,C,h,w), clean; condition and negative, one text each; lora or None; pose,
    or None if poses guide nothing; noise (1,C,h,w), the inverted latents, or None if nothing starts from them.
    negative_lora: what the denoiser has under the negative text of guidance, where that is not ``lora``.
    published: other LoRAs that it was given, which are not packed with the rest. code: its semantic code (1,D), or
    None where the denoiser is told none.
    """

    pixels: Tensor
    latents: Tensor
    condition: Condition
    negative: Condition
    lora: Lora | None
    pose: Pose | None = None
    noise: Tensor | None = None
    published: tuple[Lora, ...] = ()
    negative_lora: Lora | None = None
    code: Tensor | None = None

    @property
    def loras(self) -> tuple[Lora, ...]:
        """All that the denoiser has of it: fitted, and published."""
        return (*([self.lora] if self.lora else []), *self.published)

    @property
    def negative_loras(self) -> tuple[Lora, ...]:
        """The same under the negative text of guidance."""
        return (self.negative_lora, *self.published) if self.negative_lora else self.loras

    @property
    def unfitted(self) -> FittedKeyframe:
        """The same before a LoRA was fitted to it, not inverted; its text may be fitted."""
        return replace(self, lora=None, negative_lora=None, noise=None)

    def packed(self) -> dict[str, Tensor]:
        """As named tensors, to be kept in a file."""
        tensors = {name: getattr(self, name) for name in _TENSORS if getattr(self, name) is not None}
        tensors |= {} if self.code is None else {_CODE: self.code}
        tensors |= self.condition.packed("condition") | self.negative.packed("negative")
        for prefix, fitted in (("", self.lora), (_NEGATIVE, self.negative_lora)):
            for part in ("down", "up") if fitted else ():
                tensors |= {f"{prefix}{part}.{name}": value for name, value in getattr(fitted, part).items()}
        if self.pose is not None:
            people = [np.column_stack([person.points, person.confidence]) for person in self.pose]
            tensors["pose"] = torch.from_numpy(np.array(people).reshape(-1, len(KEYPOINTS), 3))
        return tensors

    @classmethod
    def unpacked(cls, named: Mapping[str, Tensor], model: LatentDiffusion, size: tuple[int, int]) -> FittedKeyframe:
        """What ``packed`` made of one that was fitted to a model, of ``size`` (width, height), on its device.

        Raises:
            LookupError, ValueError: it is something else.
        """
        device, (width, height), latent_shape = model.device, size, model.latent_shape(size)
        parts: dict[str, dict[str, Tensor]] = {
            prefix + part: {} for prefix in ("", _NEGATIVE) for part in ("down", "up")
        }
        for name, value in named.items():
            part, _, layer = name.partition(".")
            if part in parts:
                parts[part][layer] = value.to(device)
        pixels, latents, *noise = (named[name].to(device) for name in _TENSORS if name in named)
        shapes = [tuple(pixels.shape), *(tuple(part.shape) for part in (latents, *noise))]
        if shapes != [(1, 3, height, width), *[(1, *latent_shape)] * (len(shapes) - 1)]:
            raise ValueError(f"tensors {shapes} are not those of a keyframe of {width}x{height}")
        condition, negative = (Condition.unpacked(named, name).to(device) for name in ("condition", "negative"))
        if len(condition) != 1 or condition.tokens.shape != negative.tokens.shape:
            raise ValueError("the texts are not those of a keyframe")
        loras: list[Lora | None] = []
        for down, up in ((parts[f"{prefix}down"], parts[f"{prefix}up"]) for prefix in ("", _NEGATIVE)):
            loras.append(Lora(down, up) if down or up else None)
        for fitted in filter(None, loras):
            fitted.check(model)
        pose = None
        if "pose" in named:
            pose = tuple(Person(person[:, :2], person[:, 2]) for person in named["pose"].numpy())
        inverted, code = noise[0] if noise else None, None
        if _CODE in named:
            code = named[_CODE].to(device)
            codes_of(model).check(code)
        return cls(pixels, latents, condition, negative, loras[0], pose, inverted, (), loras[1], code)


_NEGATIVE, _CODE = "negative_", "code"
_TENSORS = ("pixels", "latents", "noise")
_LOOKED_AT = 0.261  # of all times: DreamMover's 14 steps of 50


@dataclass(frozen=True)
class CapturedKeyframe:
    """A fitted keyframe with all that the frames next to it borrow from it.

    times, at which it was denoised; features, its keys and values by timestep and layer; residual (1,3,h,w), its
    pixels minus what the pipeline makes of them; round_trip, PSNR in dB of its latents after inversion and
    sampling. believed (1,C,h,w), what the denoiser takes its inverted latents to be without noise; seen (1,C,h,w),
    what the denoiser sees in it, by which it moves to another, or None where nothing moves.
    """

    keyframe: FittedKeyframe
    times: Sequence[int]
    features: attention.Features
    residual: Tensor
    round_trip: float
    believed: Tensor
    seen: Tensor | None = None

    @property
    def noise(self) -> Tensor:
        """The inverted latents (1,C,h,w)."""
        assert self.keyframe.noise is not None
        return self.keyframe.noise


def control_of(poses: Sequence[Pose | None], pixels: Tensor, positions: Tensor, scale: float) -> Control | None:
    """What a ControlNet is shown of poses: skeletons of the size of ``pixels`` (B,3,H,W); None without poses.

    It counts 1 at a keyframe and ``scale`` s halfway: s - 2 |f - 1/2| (s - 1) at position f, of ``positions`` (B,)
    (Wang & Golland, section 4.3).
    """
    known = [pose for pose in poses if pose is not None]
    if len(known) < len(poses):
        return None
    size = (pixels.shape[3], pixels.shape[2])
    images = torch.stack([torch.from_numpy(draw(pose, size)) for pose in known]).to(pixels.device)
    return Control(images.permute(0, 3, 1, 2).float() / 255, scale - 2 * (positions - 0.5).abs() * (scale - 1))


@contextmanager
def updated(
    model: LatentDiffusion, keyframes: Sequence[FittedKeyframe], weights: Tensor, guided: bool = False
) -> Iterator[None]:
    """In the ``with`` body sample b has ``weights[b, k]`` (B,K) of the LoRAs of keyframe k, mixed exactly.

    So it has of their semantic codes, where they have some. guided: the B samples come twice, first under the
    negative text.
    """
    told = [keyframe.code for keyframe in keyframes if keyframe.code is not None]
    with ExitStack() as stack:
        stack.enter_context(_with_loras(model, keyframes, weights, guided))
        if told:
            codes = codes_of(model)
            stack.enter_context(codes.told(model, weights.to(told[0]) @ torch.cat(told)))
        yield


def _with_loras(
    model: LatentDiffusion, keyframes: Sequence[FittedKeyframe], weights: Tensor, guided: bool
) -> AbstractContextManager[None]:
    """See :func:`updated`."""
    columns = [column for column, keyframe in enumerate(keyframes) for _ in keyframe.loras]
    loras = [each for keyframe in keyframes for each in keyframe.loras]
    rows = weights[:, columns]
    if guided and any(keyframe.negative_lora for keyframe in keyframes):
        columns = [column for column, keyframe in enumerate(keyframes) for _ in keyframe.negative_loras]
        loras = [*(each for keyframe in keyframes for each in keyframe.negative_loras), *loras]
        rows = torch.block_diag(weights[:, columns], rows)
    return lora.applied(model, loras, rows)


def fit_embeddings(
    model: LatentDiffusion, pixels: Tensor, start: Embeddings, settings: Settings, progress: Progress
) -> Embeddings:
    """Text embeddings of pictures (K,3,H,W) by textual inversion, from those of their prompts."""
    options = asdict(settings.textual_inversion)
    texts = (start.conditions, start.negative)
    fit = textual_inversion.fit(model, pixels, *texts, settings.seed, **options)
    cost = 3 * passes(settings.textual_inversion.guidance) * len(pixels)
    return drain(fit, lambda loss: progress("textual inversion", cost))


def fit_keyframes(
    model: LatentDiffusion,
    pixels: Tensor,
    embeddings: Embeddings,
    settings: Settings,
    progress: Progress,
    detector: Detector | None = None,
    published: Sequence[Lora] = (),
) -> list[FittedKeyframe]:
    """Fit the user's keyframes (K,3,H,W) in one batch: LoRAs, on top of ``published`` ones, poses and codes."""
    pixels = pixels.to(model.device)
    mean, std = model.posterior(pixels)
    given = [tuple(published)] * len(pixels)
    fitted = fit_latents(model, pixels, mean, std, embeddings, settings, progress, given)
    poses = [detector(image) if detector else None for image in to_uint8(pixels)]
    return [replace(keyframe, pose=pose) for keyframe, pose in zip(fitted, poses, strict=True)]


def fit_latents(
    model: LatentDiffusion,
    pixels: Tensor,
    mean: Tensor,
    std: Tensor,
    embeddings: Embeddings,
    settings: Settings,
    progress: Progress,
    published: Sequence[tuple[Lora, ...]],
) -> list[FittedKeyframe]:
    """Fit a LoRA to each of K pictures (K,3,H,W), whose latents are normal with this mean and deviation.

    ``published`` are the LoRAs that each of them has already.
    """
    count = len(pixels)
    conditions = embeddings.conditions.to(model.device)
    negative = embeddings.negative.to(model.device)
    codes = codes_of(model).of(pixels).split(1) if settings.infill.codes else [None] * count
    parts = zip(pixels.split(1), mean.split(1), conditions.split(1), published, codes, strict=True)
    keyframes = [
        FittedKeyframe(image, z, condition, negative, None, published=given, code=code)
        for image, z, condition, given, code in parts
    ]
    if not settings.lora.steps:
        return keyframes
    draws = settings.lora.draws
    fit = lora.fit(model, mean, std, conditions, settings.seed, **fit_options(settings.lora))
    with updated(model, keyframes, torch.eye(count, device=model.device).repeat_interleave(draws, 0)):
        loras = drain(fit, lambda loss: progress("fit LoRA", 3 * count * draws))
    return [replace(keyframe, lora=fitted) for keyframe, fitted in zip(keyframes, loras, strict=True)]


def fit_options(settings: LoraSettings) -> dict[str, Any]:
    """What :func:`morph.diffusion.lora.fit` is told of the settings of one."""
    names = ("steps", "rank", "learning_rate", "weight_decay", "draws", "window", "tolerance")
    return {name: getattr(settings, name) for name in names}


def invert_keyframes(
    model: LatentDiffusion,
    keyframes: Sequence[FittedKeyframe],
    settings: Settings,
    progress: Progress,
    positions: Sequence[float],
) -> list[FittedKeyframe]:
    """Inversion of keyframes in one batch.

    ``positions`` are those of the keyframes between the user's own, whose positions are 0 or 1.
    """
    predict, loras_applied = _predictor(model, keyframes, settings, positions, 1.0)
    mean = torch.cat([keyframe.latents for keyframe in keyframes])
    times = model.times(settings.steps, mean.shape, skip=settings.infill.skip)
    with loras_applied:
        solver = solver_of(settings.inversion, settings.inversion_iterations, settings.seed)
        inversion = solver.invert(predict, model.schedule, mean, times)
        noise = drain(inversion, lambda step: progress("invert", len(mean)))
    if not noise.isfinite().all():
        raise MorphError("the inversion overflowed; try --dtype float32, more steps or a lower lora.learning_rate")
    return [replace(keyframe, noise=z) for keyframe, z in zip(keyframes, noise.split(1), strict=True)]


def capture_keyframe(
    model: LatentDiffusion,
    keyframe: FittedKeyframe,
    settings: Settings,
    times: Sequence[int],
    progress: Progress,
    position: float,
) -> CapturedKeyframe:
    """Bring an inverted keyframe back at these times and keep what the frames next to it will borrow.

    Always one at a time: what is captured must not depend on which other keyframes a segment has. With guidance,
    as frames are made with it.
    """
    assert keyframe.noise is not None
    guidance = settings.infill.guidance_at(torch.tensor([position], device=model.device))
    predict, lora_applied = _predictor(model, [keyframe], settings, [position], guidance)
    solver = solver_of(settings.inversion, settings.inversion_iterations, settings.seed)
    asked = (*solver.sampled_at(model.schedule, times), times[-1])
    hearing = Hearing.of(model, settings, asked, guided=guides(guidance))
    features: dict[tuple[int, str], Heard] = {}
    believed: list[Tensor] = []
    shown: list[Tensor] = []
    looked_at = None
    if settings.infill.mix == "moved":
        looked_at = min(times[:-1], key=lambda t: abs(t - _LOOKED_AT * model.schedule.length))

    def predict_and_keep(latents: Tensor, t: int) -> Prediction:
        if t == looked_at:
            shown.append(latents)
        with hearing.captured(features, t):
            return predict(latents, t)

    def tick(step: Step) -> None:
        believed.append(step.clean)
        progress("capture ends", passes(guidance))

    with lora_applied:
        itself = Likeness(keyframe.latents, torch.ones(1))
        sampling = solver.sample(predict_and_keep, model.schedule, keyframe.noise, times, itself)
        latents = drain(sampling, tick)
    seen: Tensor | None = None
    if looked_at is not None:
        with updated(model, [keyframe], torch.ones(1, 1, device=model.device)):
            seen = model.way_up(shown[0], looked_at, keyframe.condition)[0]
        progress("capture ends", 1)
    mean = keyframe.latents
    error = float((latents - mean).square().mean())
    decibels = 20 * math.log10(float(mean.max() - mean.min())) - 10 * math.log10(max(error, 1e-20))
    residual = keyframe.pixels - model.decode(latents)
    return CapturedKeyframe(keyframe, times, features, residual, decibels, believed[0], seen)


def _predictor(
    model: LatentDiffusion,
    keyframes: Sequence[FittedKeyframe],
    settings: Settings,
    positions: Sequence[float],
    guidance: float | Tensor,
) -> tuple[Predictor, AbstractContextManager[None]]:
    """How the model predicts these keyframes in a batch, and the context in which each has its own LoRA."""
    condition = Condition.cat([keyframe.condition for keyframe in keyframes])
    pixels = torch.cat([keyframe.pixels for keyframe in keyframes])
    poses = [keyframe.pose for keyframe in keyframes]
    control = control_of(poses, pixels, torch.tensor(positions, device=model.device), settings.pose.scale)
    predict = guided(model.conditional(control), condition, keyframes[0].negative, guidance)
    return predict, updated(model, keyframes, torch.eye(len(keyframes), device=model.device), guides(guidance))
