"""The mask of an edit, beside the picture that is edited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from morph.media.image import read_image
from pipelines.request.edits.edit import Edit

SAME_SHAPE = 0.02
"""How far the proportions of a mask may be from a picture's, as sizes are rounded."""


def shape_notices(
    edit: Edit,
    size: tuple[int, int],
    size_of: Callable[[Path], tuple[int, int]] = lambda file: read_image(file).size,
) -> list[str]:
    """What people should know of a mask of other proportions than the picture of a size (width, height) has.

    ``size_of`` a file, for who reads the same one often.

    Raises:
        InputError: the mask cannot be read.
    """
    if edit.mask is None:
        return []
    (width, height), (across, down) = size, size_of(edit.mask)
    if abs(across * height / (down * width) - 1) <= SAME_SHAPE:
        return []
    return [
        f"{edit.mask}: {across}x{down} has other proportions than the picture, {width}x{height}: it is fitted to "
        "the same frame, and may mean other places than it was drawn for"
    ]
