"""Another frame rate: frames where the new rate wants them, interpolated where the source has none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from morph.errors import InputError
from morph.media.times import Times
from morph.motion.flow import CLOSE, Interpolator, distance
from morph.perception.lpips import MIN_SIZE, PerceptualDistance


@dataclass(frozen=True)
class Retimed:
    """One frame of the new rate.

    Attributes:
        pixels: uint8 sRGB (H,W,3).
        position: where it stands in the source, in source frames; 2.5 is halfway in time from frame 2 to 3, or
            through the last one.
        kind: "source" is a frame of the source, bit for bit; "between" is interpolated; "cut" repeats the
            nearer frame of two that are not close, the earlier one halfway.
    """

    pixels: NDArray[np.uint8]
    position: Fraction
    kind: Literal["source", "between", "cut"]


_AT_ONCE = 64
"""Frames that are made between two before the first of them is given away."""


def length(times: Times, target: Fraction) -> int:
    """How many frames :func:`retime` makes of a film."""
    return math.ceil(times.end * target)


def retime(
    frames: Iterable[NDArray[np.uint8]],
    times: Times,
    target: Fraction,
    interpolator: Interpolator,
    *,
    threshold: float = CLOSE,
    lpips: PerceptualDistance | None = None,
) -> Iterator[Retimed]:
    """Yield the frames of a film at ``target`` frames a second; frame k is what it shows at k/target seconds.

    The film lasts as long as before: its last frame is held for its own time. Two source frames are in memory at a
    time.

    Args:
        frames: uint8 sRGB (H,W,3), one size.
        times: when they are shown, one a frame.
        target: above 0, more or less than the film's own rate.
        interpolator: makes the frames between two close ones.
        threshold: the LPIPS distance up to which two frames are close, see :data:`morph.motion.flow.CLOSE`.
        lpips: the distance to use, if there is one already.

    Raises:
        InputError: frames of less than 32 px, which LPIPS cannot compare.
    """
    lpips = lpips or PerceptualDistance()
    shown = 0  # frames of the new rate, so far
    for index, (first, second) in enumerate(pairwise(chain(frames, [None]))):
        assert first is not None
        if (second is None) != (index == len(times.starts) - 1):
            raise InputError(f"the film has {index + 1} frames now, and had {len(times.starts)}: leave it as it is")
        start, end = times.starts[index], times.end if second is None else times.starts[index + 1]
        until = math.ceil(end * target)
        # shares of the way to the next frame; a frame may be shown for hours
        shares = ((number / target - start) / (end - start) for number in range(shown, until))
        shown = max(shown, until)
        close: bool | None = None
        while some := list(islice(shares, _AT_ONCE)):
            if second is None:
                yield from (Retimed(first, index + share, "source") for share in some)
                continue
            if some[0] == 0:
                yield Retimed(first, Fraction(index), "source")
                some.pop(0)
            if not some:
                continue
            close = _close(first, second, threshold, lpips) if close is None else close
            if close:
                between = interpolator.between(first, second, [float(share) for share in some])
                yield from (
                    Retimed(pixels, index + share, "between") for pixels, share in zip(between, some, strict=True)
                )
            else:
                for share in some:
                    yield Retimed(first if share <= Fraction(1, 2) else second, index + share, "cut")


def _close(
    first: NDArray[np.uint8], second: NDArray[np.uint8], threshold: float, lpips: PerceptualDistance
) -> bool:
    if min(first.shape[:2]) < MIN_SIZE:
        raise InputError(f"frames of {first.shape[1]}x{first.shape[0]} are too small: {MIN_SIZE} px is the least")
    return distance(first, second, lpips) <= threshold
