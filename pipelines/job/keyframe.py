"""One picture at the size that it would have as the first of a clip."""

from __future__ import annotations

from pathlib import Path

from morph.diffusion.geometry import Geometry
from morph.media.image import StillImage, read_image
from morph.media.keyframe import Keyframe, fitted
from pipelines.request.settings import Settings
from pipelines.request.sizes import Sizes, sizes_of


def sized(image: str | Path, geometry: Geometry, size: str, model_size: str) -> tuple[Keyframe, Sizes]:
    """A picture in straight colour, and the sizes that the settings size and model_size mean for it.

    Raises:
        InputError: it cannot be read, or not be brought to such a size.
    """
    return sized_picture(read_image(image), image, geometry, size, model_size)


def sized_picture(
    picture: StillImage, source: str | Path, geometry: Geometry, size: str, model_size: str
) -> tuple[Keyframe, Sizes]:
    """:func:`sized` of a picture that is read already; ``source`` is where it is from.

    Raises:
        InputError: it cannot be brought to such a size.
    """
    height, width = picture.pixels.shape[:2]
    sizes = sizes_of(Settings(size=size, model_size=model_size), geometry, (width, height))
    return Keyframe.of(fitted(picture, source, sizes.frame), source).extended(), sizes
