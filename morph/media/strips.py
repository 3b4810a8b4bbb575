"""Pictures a few rows at a time, so that nothing is made of all of a large one but what is kept."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

PIXELS = 1 << 18
"""Of a strip, about."""


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture from above, in slices of about ``PIXELS``."""
    step = max(1, PIXELS // max(1, width))
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def rows_of(image: Image.Image, rows: slice) -> Image.Image:
    """These rows of an image, in its own mode."""
    return image.crop((0, rows.start, image.width, rows.stop))
