"""What a render will do, worked out from its arguments alone: no torch, no weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def costs(settings: Settings, keyframes: int = 2) -> dict[str, int]:
    """U-Net forward equivalents of every stage, in order, when the LoRA fit does not stop early.

    A backward pass counts as two forwards. Even pacing renders about half as many frames again as it shows.
    """
    rendered = max(0, settings.frames - 2) * (1.5 if settings.pacing == "even" else 1)
    return {
        "fit LoRA": keyframes * 3 * settings.lora.steps * settings.lora.draws,
        "invert": keyframes * settings.steps * settings.inversion_iterations,
        "capture ends": keyframes * settings.steps,
        "render": settings.steps * math.ceil(rendered),
    }
