"""Another frame rate: frames where the new rate wants them, interpolated where the source has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
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


def length(times: Times, target: Fraction) -> int:
    """How many frames :func:`retime` makes of a film."""
    return -(-times.end * target // 1)


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
    number = 0
    for index, (first, second) in enumerate(pairwise(chain(frames, [None]))):
        assert first is not None
        start, end = times.starts[index], times.end if second is None else times.starts[index + 1]
        shares = []  # of the way to the next frame
        while number / target < end:
            shares.append((number / target - start) / (end - start))
            number += 1
        if second is None:
            yield from (Retimed(first, index + share, "source") for share in shares)
            continue
        if shares and shares[0] == 0:
            yield Retimed(first, Fraction(index), "source")
            shares.pop(0)
        if not shares:
            continue
        if _close(first, second, threshold, lpips):
            between = interpolator.between(first, second, [float(share) for share in shares])
            yield from (
                Retimed(pixels, index + share, "between") for pixels, share in zip(between, shares, strict=True)
            )
        else:
            for share in shares:
                yield Retimed(first if share <= Fraction(1, 2) else second, index + share, "cut")


def _close(
    first: NDArray[np.uint8], second: NDArray[np.uint8], threshold: float, lpips: PerceptualDistance
) -> bool:
    if min(first.shape[:2]) < MIN_SIZE:
        raise InputError(f"frames of {first.shape[1]}x{first.shape[0]} are too small: {MIN_SIZE} px is the least")
    return distance(first, second, lpips) <= threshold
