"""The images of a clip as they come from their files, each decoded once."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Self

from morph.media.image import StillImage, read_image
from morph.media.keyframe import Fit, fitted

ROOM = 256 * 2**20
"""Bytes of prepared images that are kept, the last two whatever their size: a way stands between two."""


class Images:
    """Decodes images when they are first asked for, and keeps them as frames take them while there is room.

    What is kept stays in its process: a copy that travels to another one starts with none.
    """

    def __init__(self) -> None:
        self._sizes: dict[Path, tuple[int, int]] = {}
        self._last: tuple[Path, StillImage] | None = None
        self._kept: OrderedDict[tuple[Path, tuple[int, int], Fit], StillImage] = OrderedDict()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

    def original(self, image: Path) -> tuple[int, int]:
        """(width, height) in pixels of an image as a person sees it: upright.

        Raises:
            KeyframeError: it cannot be used.
        """
        if image not in self._sizes:
            self._last = (image, self._decoded(image))  # who asks for its size is about to ask for more
        return self._sizes[image]

    def prepared(self, image: Path, size: tuple[int, int], fit: Fit) -> StillImage:
        """An image at ``size`` (width, height), see :func:`morph.media.keyframe.fitted`.

        Raises:
            KeyframeError: it cannot be used.
        """
        key = image, size, fit
        if key not in self._kept:
            decoded = self._last[1] if self._last and self._last[0] == image else self._decoded(image)
            self._last = None  # as decoded it may be much larger
            self._kept[key] = fitted(decoded, image, size, fit)
            while len(self._kept) > 2 and sum(map(_bytes, self._kept.values())) > ROOM:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _decoded(self, image: Path) -> StillImage:
        picture = read_image(image)
        self._sizes[image] = picture.size
        return picture


def _bytes(picture: StillImage) -> int:
    return picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
