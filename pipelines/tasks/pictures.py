"""A clip's images as its frames and its model see them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from morph.latest import Latest
from morph.media.keyframe import Keyframe
from morph.scaling import reduced_pixels
from pipelines.request.plan import Plan


class Pictures:
    """The keyframes of a clip as tensors, made when they are asked for; ``edited`` edits that of a number."""

    def __init__(
        self, plan: Plan, edited: Callable[[int, Keyframe], Keyframe] = lambda number, keyframe: keyframe
    ) -> None:
        self._plan = plan
        self._edited = edited
        self._keyframes: Latest[int, Keyframe] = Latest(2)  # of full size, which may be a hundred megabytes
        self._small: Latest[int, Tensor] = Latest(plan.clip.settings.batch)

    def keyframe(self, number: int) -> Keyframe:
        """An image at the size of the clip's frames, edited, its colour extended if these will have mattes."""
        return self._keyframes.get(number, self._keyframe)

    def pixels(self, number: int) -> Tensor:
        """An image (1,3,h,w) in [-1,1] at the size at which the model works."""
        return self._small.get(number, self._pixels)

    def _keyframe(self, number: int) -> Keyframe:
        entry = self._plan.clip.keyframes[number]
        keyframe = Keyframe.of(self._plan.picture(number), entry.image, entry.prompt)
        return self._edited(number, keyframe.extended() if self._plan.transparent else keyframe)

    def _pixels(self, number: int) -> Tensor:
        return reduced_pixels(self.keyframe(number).pixels, self._plan.sizes.model)
