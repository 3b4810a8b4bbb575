"""When the frames of a film are shown, and whether that is at a steady rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

_JITTER = Fraction(1, 20)
"""What share of a frame's time it may come too early or too late for its film to be even: nobody sees that."""


@dataclass(frozen=True)
class Times:
    """When frames are shown, in seconds from the first.

    Attributes:
        starts: one a frame, from 0, never descending.
        end: when the last frame's own time is over, at least ``starts[-1]``.
        fps: the rate of frames that come at even times, exact; None where they do not.
    """

    starts: tuple[Fraction, ...]
    end: Fraction
    fps: Fraction | None = None

    @classmethod
    def even(cls, count: int, fps: Fraction) -> Times:
        """``count`` frames, each of which lasts 1/``fps`` seconds."""
        return cls(tuple(number / fps for number in range(count)), count / fps, fps)

    @classmethod
    def stamped(cls, stamps: Sequence[int], unit: Fraction, last: int = 0, stated: Fraction | None = None) -> Times:
        """Frames that carry their times.

        A film is even where one rate puts every frame within a unit, or a twentieth of a frame, of its stamp: a
        container rounds. Of all such rates that which the film states is taken, else the one of equal stamps, else
        the nearest whole or NTSC rate, else the mean.

        Args:
            stamps: one a frame, in units of ``unit`` seconds; one that descends counts as the one before.
            unit: of the container, above 0.
            last: how long the last frame is shown, in units; 0 is as long as the others on average.
            stated: the rate that the file states, which may be wrong.
        """
        rising = list(accumulate((stamp - stamps[0] for stamp in stamps), max))
        count = len(rising)
        if count < 2 or rising[-1] == 0:
            shown = last * unit if last else 1 / (stated or Fraction(25))
            return cls.even(1, _exact(1 / shown)) if count == 1 else cls((Fraction(0),) * count, shown)
        mean = Fraction(count - 1) / (rising[-1] * unit)
        end = rising[-1] * unit + (last * unit or 1 / mean)
        rate = next((rate for rate in _rates(rising, unit, mean, stated) if _fits(rising, rate, unit)), None)
        if rate is None:
            return cls(tuple(stamp * unit for stamp in rising), end)
        even = cls.even(count, rate)
        # the last frame alone may be held
        return even if abs(even.end - end) <= max(unit, _JITTER / rate) else cls(even.starts, end, rate)

    @property
    def mean(self) -> Fraction:
        """Frames a second on average: the film's own rate where it is even."""
        return self.fps or (len(self.starts) / self.end if self.end else Fraction(1))

    @property
    def held(self) -> bool:
        """Whether the last frame of an even film is shown longer than the others."""
        return self.fps is not None and self.end > self.starts[-1] + Fraction(3, 2) / self.fps


def _rates(stamps: Sequence[int], unit: Fraction, mean: Fraction, stated: Fraction | None) -> Iterable[Fraction]:
    if stated:
        yield _exact(stated)
    if len({after - before for before, after in pairwise(stamps)}) == 1:
        yield _exact(mean)
    yield from sorted(_neighbours(mean), key=lambda rate: abs(rate - mean))
    yield mean


def _neighbours(rate: Fraction) -> tuple[Fraction, ...]:
    """The whole and the NTSC rate nearest to ``rate``, above 0."""
    nearest, ntsc = Fraction(round(rate)), Fraction(1000 * round(rate * 1001 / 1000), 1001)
    return tuple(near for near in (nearest, ntsc) if near > 0)


def _exact(rate: Fraction) -> Fraction:
    """The whole or NTSC rate that ``rate`` means: Matroska states a frame's time in rounded nanoseconds."""
    return next((near for near in _neighbours(rate) if abs(rate - near) < rate / 100_000), rate)


def _fits(stamps: Sequence[int], rate: Fraction, unit: Fraction) -> bool:
    # all in whole numbers, as parts of a second that both the rate and the unit divide: films may have many frames
    stamp_parts, frame_parts = unit.numerator * rate.numerator, rate.denominator * unit.denominator
    most = int(max(unit, _JITTER / rate) * unit.denominator * rate.numerator)
    return all(-most <= stamp * stamp_parts - number * frame_parts <= most for number, stamp in enumerate(stamps))
