"""What a render will do, worked out from its arguments alone: no torch, no weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from morph.diffusion.files import Geometry
from morph.errors import SettingsError
from morph.media.keyframe import parse_size
from pipelines.settings import Settings

SMALLEST = 64
"""Sides below this leave a model nothing to see."""


def pair_prompts(prompts: Sequence[str], images: int) -> list[str]:
    """One prompt per image: as given, one for all, or none at all, which is the empty prompt."""
    if len(prompts) == images:
        return list(prompts)
    if len(prompts) > 1:
        raise SettingsError(f"{len(prompts)} prompts for {images} images; give none, one for all, or one per image")
    return [prompts[0] if prompts else ""] * images


def frame_size(size: str, geometry: Geometry) -> tuple[int, int]:
    """(width, height) in pixels for a size setting, checked against what the model can take.

    Raises:
        SettingsError: not a size, or sides that are not multiples of the model's stride; the nearest is named.
    """
    stride = geometry.stride
    width, height = (geometry.native,) * 2 if size == "native" else parse_size(size)
    if min(width, height) < SMALLEST or width % stride or height % stride:
        near = [max(round(side / stride), -(-SMALLEST // stride)) * stride for side in (width, height)]
        raise SettingsError(
            f"size {width}x{height} does not suit this model: sides must be multiples of {stride}, "
            f"at least {SMALLEST}; the nearest is {near[0]}x{near[1]}"
        )
    return width, height


@dataclass(frozen=True)
class Place:
    """Where an anchor comes from: positions of its parents and its own, in [0,1]; ``weight`` between the two."""

    alpha: float
    left: float
    right: float
    weight: float


@dataclass(frozen=True)
class Level:
    """Anchors that are made together: ``candidates`` of each, noised by ``steps`` and denoised to ``until``."""

    places: tuple[Place, ...]
    steps: int
    until: int
    candidates: int


def plan_anchors(settings: Settings) -> list[Level]:
    """The levels of anchors in the order in which they are made; none for two frames or fewer.

    At depth 4 and 200 steps, "branch" makes 1, 2, 4 and 8 anchors noised by 110, 93, 76 and 60 steps.

    Raises:
        SettingsError: noise that grows from level to level, or that is less than one step.
    """
    anchors, steps = settings.anchors, settings.steps
    depth, count = anchors.depth, 2**anchors.depth
    if not depth or settings.frames <= 2:
        return []
    if anchors.scheme == "latent":
        places = tuple(Place(i / count, 0.0, 1.0, i / count) for i in range(1, count))
        return [Level(places, 0, 0, 1)]
    flat = anchors.scheme == "flat"
    shares = np.linspace(anchors.noise_first, anchors.noise_last, count // 2 if flat else depth)
    amounts = (shares * steps).astype(int).tolist()
    if anchors.noise_first < anchors.noise_last:
        raise SettingsError(
            f"anchors.noise_first {anchors.noise_first} is below anchors.noise_last {anchors.noise_last}: "
            "later levels need less noise, not more"
        )
    if min(amounts) == 0 < anchors.noise_last:
        raise SettingsError(f"steps is {steps}: too few to noise anchors by a share of {anchors.noise_last}")
    if flat:  # the nearer to a keyframe, the less noise
        pairs = [sorted({i, count - i}) for i in range(count // 2, 0, -1)]
        return [
            Level(tuple(Place(i / count, 0.0, 1.0, i / count) for i in pair), amount, 0, 1)
            for pair, amount in zip(pairs, amounts, strict=True)
        ]
    levels = []
    for level, amount in enumerate(amounts):
        half = count >> (level + 1)
        places = tuple(
            Place(i / count, (i - half) / count, (i + half) / count, 0.5) for i in range(half, count, 2 * half)
        )
        if anchors.scheme == "cascade":
            levels.append(Level(places, amount, [*amounts, 0][level + 1], 1))
        else:
            candidates = max(anchors.candidates - level, min(anchors.candidates, anchors.candidates_least))
            levels.append(Level(places, amount, 0, candidates))
    return levels


def leaves_choice(settings: Settings) -> bool:
    """Whether any anchor has more than one candidate."""
    return any(level.candidates > 1 for level in plan_anchors(settings))


def check_frames(settings: Settings, keyframes: int) -> None:
    """Refuse fewer frames than keyframes; between two, a single frame is the first."""
    if keyframes > 2 and settings.frames < keyframes:
        raise SettingsError(f"{keyframes} images need at least {keyframes} frames; frames is {settings.frames}")


def fills_in(settings: Settings, keyframes: int = 2) -> bool:
    """Whether any frame stands where there is neither a keyframe nor an anchor."""
    if settings.frames <= keyframes:
        return False
    steps = _steps(settings, keyframes)
    return settings.pacing == "even" or any(2**settings.anchors.depth % count for count in steps)


def _steps(settings: Settings, keyframes: int) -> list[int]:
    """Steps from keyframe to keyframe at uniform pacing."""
    pairs = keyframes - 1
    least, more = divmod(max(pairs, settings.frames - 1), pairs)
    return [least + 1] * more + [least] * (pairs - more)


def costs(settings: Settings, keyframes: int = 2) -> dict[str, int]:
    """U-Net forward equivalents of every stage, in order, when no fit stops early.

    A backward pass counts as two forwards, guidance as a second forward. Even pacing renders about half as
    many frames again as it shows.
    """
    levels = plan_anchors(settings)
    guided = 1 if settings.anchors.guidance == 1 else 2
    made, alive, anchors = 0, 0, 0
    for level in levels:
        anchors += len(level.places)
        alive = anchors if settings.anchors.scheme == "cascade" else len(level.places) * level.candidates
        made += alive * (level.steps - level.until) * guided
    filled = fills_in(settings, keyframes)
    knots = keyframes + anchors * (keyframes - 1)
    if settings.pacing == "even":
        rendered = math.ceil(1.5 * (settings.frames - keyframes))
    else:  # a step that is a whole number of the anchors' ends on one
        rendered = sum(count - math.gcd(count, anchors + 1) for count in _steps(settings, keyframes))
    fit = 3 * settings.lora.steps * settings.lora.draws
    stages = {
        "textual inversion": keyframes * 6 * settings.textual_inversion.steps,
        "fit LoRA": keyframes * fit,
        "anchors": made * (keyframes - 1),
        "fit anchors": (knots - keyframes) * fit * filled,
        "invert": knots * settings.steps * settings.inversion_iterations * filled,
        "capture ends": knots * settings.steps * filled,
        "render": settings.steps * rendered * filled,
    }
    return {stage: cost for stage, cost in stages.items() if cost}
