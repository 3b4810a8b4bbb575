"""How transparent a clip's frames are, where its keyframes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morph.blending.matte import Matte, on_black
from morph.blending.warp import Warp
from morph.latest import Latest
from morph.scaling import reduced
from pipelines.request.plan import Plan


class Mattes:
    """The mattes of a clip's frames, from those of its keyframes, uint8 (H,W), in the order they are reached."""

    def __init__(
        self, keyframes: Sequence[NDArray[np.uint8]], warp: Callable[[int], Warp | None] = lambda number: None
    ) -> None:
        self._ways = list(pairwise(keyframes))
        self._warp = warp
        self._matte: Latest[int, Matte] = Latest(1)

    @classmethod
    def of(cls, plan: Plan, warp: Callable[[int], Warp | None] = lambda number: None) -> Mattes | None:
        """Those of a clip's frames; None unless all its keyframes have one.

        ``warp`` gives the field by which they travel on the way of a number, if there is one.

        Raises:
            KeyframeError: an image cannot be used any more.
        """
        keyframes = keyframes_of(plan)
        return None if keyframes is None else cls(keyframes, warp)

    def _between(self, number: int) -> Matte:
        first, second = self._ways[number]
        if (warp := self._warp(number)) is None:
            return Matte(first, second)
        height, width = first.shape

        def maps(t: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            first_map, second_map = (places.numpy() for places in warp.pixels(t, (width, height)))
            return first_map, second_map

        return Matte(first, second, maps)

    def seen(self, number: int) -> Callable[[float, NDArray[Any]], NDArray[Any]]:
        """What shows of a frame (h,w,3) at a position from keyframe ``number``, 0, to the next, 1: it on black."""

        def laid_on_black(alpha: float, frame: NDArray[Any]) -> NDArray[Any]:
            height, width = frame.shape[:2]
            return on_black(frame, reduced(self._matte.get(number, self._between).at(alpha), (width, height)))

        return laid_on_black

    def at(self, position: float) -> NDArray[np.float32]:
        """The matte (H,W) in [0,1] at a position from the first keyframe, 0, to the last, 1."""
        # a keyframe's position is a quotient, and may have lost its last bit
        ways_behind = round(position * len(self._ways), 9)
        number = min(int(ways_behind), len(self._ways) - 1)
        return self._matte.get(number, self._between).at(ways_behind - number)


def keyframes_of(plan: Plan) -> list[NDArray[np.uint8]] | None:
    """The mattes (H,W) of a clip's keyframes; None unless all have one.

    Raises:
        KeyframeError: an image cannot be used any more.
    """
    if not plan.transparent:
        return None
    numbers = [plan.ways[0].ends[0], *(way.ends[1] for way in plan.ways)]
    mattes = [plan.picture(number).alpha for number in numbers]
    return [matte for matte in mattes if matte is not None]
