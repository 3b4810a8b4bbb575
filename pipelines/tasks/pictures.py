"""A clip's images as its frames and its model see them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from morph.blending.warp import Warp
from morph.diffusion.geometry import Geometry
from morph.media.keyframe import Keyframe, load_keyframe, read_image
from morph.scaling import reduced_pixels
from pipelines.request.clip import Clip, looped
from pipelines.request.plan import Sizes, sizes_of
from pipelines.request.points import marked
from pipelines.tasks.mattes import Mattes


class Pictures:
    """The keyframes of a clip, prepared when they are asked for; ``geometry`` is that of its model."""

    def __init__(self, clip: Clip, geometry: Geometry) -> None:
        self._clip = clip
        self._geometry = geometry
        self.keyframe = functools.lru_cache(2)(self._keyframe)  # of full size, which may be a hundred megabytes
        self.pixels = functools.lru_cache(clip.settings.batch)(self._pixels)

    @functools.cached_property
    def sizes(self) -> Sizes:
        """Those of the clip's frames, and at which the model works.

        Raises:
            InputError: the first image cannot be used, or the model cannot take the size.
        """
        return sizes_of(self._clip.settings, self._geometry, self.original(0))

    @functools.cached_property
    def transparent(self) -> bool:
        """Whether all keyframes have mattes, so that frames have."""
        return self.travelling(lambda number: None) is not None

    def travelling(self, warp: Callable[[int], Warp | None]) -> Mattes | None:
        """The mattes of frames, moved as ``warp`` says of each way; None unless all keyframes have one."""
        return Mattes.of(self._clip, self.sizes.frame, warp)

    def original(self, number: int) -> tuple[int, int]:
        """(width, height) of an image as a person sees it."""
        height, width = read_image(self._clip.keyframes[number].image).pixels.shape[:2]
        return width, height

    def marked(self, number: int) -> NDArray[np.float64] | None:
        """What a person says is the same at the ends of segment ``number``: points (N,4) in pixels of its frames.

        Raises:
            InputError: the file cannot be used, or a point is on no pixel of its image that is seen.
        """
        return marked(self._clip, number, self.sizes.frame, self.original)

    def ends(self, number: int) -> tuple[int, int]:
        """The numbers of the keyframes that segment ``number`` leads from and to."""
        return number, (number + 1) % len(self._clip.keyframes)

    def twins(self, number: int) -> int:
        """How many segments before this one have the same ends."""
        entries = looped(self._clip.keyframes, self._clip.settings)
        ends = [(a.image, a.prompt, b.image, b.prompt) for a, b in pairwise(entries)]
        return ends[:number].count(ends[number])

    def _keyframe(self, number: int) -> Keyframe:
        """An image at the size of the clip's frames, its colour extended if these will have mattes."""
        entry = self._clip.keyframes[number]
        keyframe = load_keyframe(entry.image, entry.prompt, self.sizes.frame, entry.settings.fit)
        return keyframe.extended() if self.transparent else keyframe

    def _pixels(self, number: int) -> Tensor:
        """An image (1,3,h,w) in [-1,1] at the size at which the model works."""
        return reduced_pixels(self.keyframe(number).pixels, self.sizes.model)
