"""The places that a person says are the same in the two images of a way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morph.media.points import read_points
from pipelines.request.clip import Clip


def marked(
    clip: Clip, number: int, size: tuple[int, int], original: Callable[[int], tuple[int, int]]
) -> NDArray[np.float64] | None:
    """Points (N,4), x and y in both, of the way from keyframe ``number``, in pixels of frames of ``size``.

    ``original`` is the (width, height) of the image of a number. None where nobody marked any.

    Raises:
        InputError: the file cannot be used, or a point is on no pixel of its image that is seen.
    """
    first, second = number, (number + 1) % len(clip.keyframes)
    if not (file := clip.keyframes[first].settings.align.points):
        return None
    points, originals = read_points(Path(file)), [original(first), original(second)]
    sides = [points.prepared(originals, size, clip.keyframes[end].settings.fit) for end in (first, second)]
    return np.concatenate([sides[0][:, :2], sides[1][:, 2:]], axis=1)
