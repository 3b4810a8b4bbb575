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
from morph.motion.flow import CLOSE, Interpolator, distance
from morph.perception.lpips import MIN_SIZE, PerceptualDistance


@dataclass(frozen=True)
class Retimed:
    """One frame of the new rate.

    Attributes:
        pixels: uint8 sRGB (H,W,3).
        position: where it stands in the source, in source frames; 2.5 is halfway from frame 2 to 3.
        kind: "source" is a frame of the source, bit for bit; "between" is interpolated; "cut" repeats the
            nearer frame of two that are not close, the earlier one halfway.
    """

    pixels: NDArray[np.uint8]
    position: Fraction
    kind: Literal["source", "between", "cut"]


def length(frames: int, source: Fraction, target: Fraction) -> int:
    """How many frames :func:`retime` makes of ``frames``."""
    return -(-frames * target // source)


def retime(
    frames: Iterable[NDArray[np.uint8]],
    source: Fraction,
    target: Fraction,
    interpolator: Interpolator,
    *,
    threshold: float = CLOSE,
    lpips: PerceptualDistance | None = None,
) -> Iterator[Retimed]:
    """Yield the frames of a film at ``target`` frames a second; frame k is what it shows at k/target seconds.

    The film lasts as long as before: its last frame is held for its own time, 1/source seconds. Two source
    frames are in memory at a time.

    Args:
        frames: uint8 sRGB (H,W,3), one size, at ``source`` frames a second.
        source: above 0.
        target: above 0, more or less than ``source``.
        interpolator: makes the frames between two close ones.
        threshold: the LPIPS distance up to which two frames are close, see :data:`morph.motion.flow.CLOSE`.
        lpips: the distance to use, if there is one already.

    Raises:
        InputError: frames of less than 32 px, which LPIPS cannot compare.
    """
    step = source / target
    lpips = lpips or PerceptualDistance()
    frame_number = 0
    for index, (first, second) in enumerate(pairwise(chain(frames, [None]))):
        assert first is not None
        positions = []
        while frame_number * step < index + 1:
            positions.append(frame_number * step)
            frame_number += 1
        if positions and positions[0] == index:
            yield Retimed(first, positions.pop(0), "source")
        if not positions:
            continue
        if second is None:
            yield from (Retimed(first, position, "source") for position in positions)
        elif _close(first, second, threshold, lpips):
            times = [float(position - index) for position in positions]
            between = interpolator.between(first, second, times)
            yield from (
                Retimed(pixels, position, "between") for pixels, position in zip(between, positions, strict=True)
            )
        else:
            for position in positions:
                nearer = first if position - index <= Fraction(1, 2) else second
                yield Retimed(nearer, position, "cut")


def _close(
    first: NDArray[np.uint8], second: NDArray[np.uint8], threshold: float, lpips: PerceptualDistance
) -> bool:
    if min(first.shape[:2]) < MIN_SIZE:
        raise InputError(f"frames of {first.shape[1]}x{first.shape[0]} are too small: {MIN_SIZE} px is the least")
    return distance(first, second, lpips) <= threshold
