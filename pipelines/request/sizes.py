"""How large a clip's frames are, and how large the pictures that its model works with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from morph.diffusion.geometry import Geometry
from morph.errors import SettingsError
from morph.media.keyframe import parse_size
from pipelines.request.settings import Settings

SMALLEST = 64
"""Sides below this leave a model nothing to see."""
LONGEST = 1920
"""The longer side that frames have at most where the first image decides."""


@dataclass(frozen=True)
class Sizes:
    """(width, height) in pixels: ``frame``, of finished frames, and ``model``, at which the diffusion works."""

    frame: tuple[int, int]
    model: tuple[int, int]


def sizes_of(settings: Settings, geometry: Geometry, image_size: tuple[int, int]) -> Sizes:
    """What the settings size and model_size ask of a model; ``image_size`` is the first image's (width, height).

    Raises:
        SettingsError: not a size, one that is too small, or one that the model cannot take; what would do is named.
    """
    frame = _frame_size(settings.size, geometry, image_size)
    return Sizes(frame, _model_size(settings.model_size, geometry, frame))


def _frame_size(size: str, geometry: Geometry, image_size: tuple[int, int]) -> tuple[int, int]:
    if size == "native":
        return (geometry.native,) * 2
    if size != "image":
        width, height = parse_size(size)
    else:
        longest = max(image_size)
        limit = min(longest, LONGEST)
        width, height = (side * limit // longest // 2 * 2 for side in image_size)
    if min(width, height) < SMALLEST:
        whose = f" of the first image, {image_size[0]}x{image_size[1]}," if size == "image" else ""
        raise SettingsError(
            f"size {width}x{height}{whose} is too small: sides must be at least {SMALLEST}; "
            f"set size={max(width, SMALLEST)}x{max(height, SMALLEST)}"
        )
    return width, height


def _model_size(size: str, geometry: Geometry, frame: tuple[int, int]) -> tuple[int, int]:
    stride, least = geometry.stride, -(-SMALLEST // geometry.stride) * geometry.stride
    if size == "auto":
        pixels = frame[0] * frame[1]
        scale = min(1.0, geometry.native / math.sqrt(pixels), (geometry.longest or math.inf) / max(frame))
        width, height = (max(least, round(side * scale / stride) * stride) for side in frame)
        if width * height > pixels:
            width, height = (max(least, int(side * scale / stride) * stride) for side in frame)
        return width, height
    width, height = (geometry.native,) * 2 if size == "native" else parse_size(size)
    if geometry.longest is not None and max(width, height) > geometry.longest:
        raise SettingsError(
            f"model_size {width}x{height} does not suit this model: sides are {geometry.longest} at most"
        )
    if min(width, height) < SMALLEST or width % stride or height % stride:
        nearest = [max(round(side / stride) * stride, least) for side in (width, height)]
        raise SettingsError(
            f"model_size {width}x{height} does not suit this model: sides must be multiples of {stride}, "
            f"at least {SMALLEST}; the nearest is {nearest[0]}x{nearest[1]}"
        )
    return width, height
