"""Pictures as whoever writes Python has them: files, Pillow images or arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import KeyframeError
from morph.media.stills import write_png

Picture = str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]
"""A keyframe: a file, a Pillow image, or an array (H,W,3) or (H,W,4), its alpha straight, of 8 or 16 bits."""
KEPT = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes of Pillow images that a PNG keeps; others become RGB, or what has their transparency."""


def file_of(image: Picture, place: Path) -> Path:
    """A file of a keyframe: its own, or one that is written without loss to ``place``.

    Raises:
        KeyframeError: neither a file nor a picture.
    """
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image.Image):
        if image.mode in ("F", "I"):  # nobody can tell what is white in it
            raise KeyframeError(f"{place.stem}: a Pillow image of mode {image.mode}: convert it to RGB or I;16")
        if image.mode not in KEPT:
            image = image.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(image.mode, "RGB"))
        image.save(place)
        return place
    if not isinstance(image, np.ndarray):
        raise KeyframeError(
            f"{place.stem}: a {type(image).__name__}: give a file's name, a Pillow image or an array (H,W,3)"
        )
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype not in (np.uint8, np.uint16):
        raise KeyframeError(
            f"{place.stem}: an array of {image.dtype} {image.shape}: give (H,W,3) or (H,W,4) of uint8 or uint16"
        )
    write_png(place, image)
    return place


def grey_file_of(image: Any, place: Path) -> Path:
    """:func:`file_of`, of an array (H,W) of a mask too: of brightness, or True where it is white.

    Raises:
        KeyframeError: neither a file nor a picture.
    """
    if isinstance(image, np.ndarray) and image.ndim == 2:
        levels = image.astype(np.uint8) * np.uint8(255) if image.dtype == np.bool_ else image
        image = np.repeat(levels[..., None], 3, 2)
    return file_of(image, place)
