"""Timecode: the numbers that editors give to frames, converted by exact integer arithmetic.

At a rate such as 24000/1001 timecode counts 24 frames as a second, so it falls behind the clock. Drop-frame
timecode, written with a semicolon, keeps up by leaving out numbers, never frames.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from morph.errors import SettingsError

MAX_RATE = 100
"""Timecode has two digits for the frame."""

_LEFT_OUT = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}
"""Numbers that drop-frame timecode leaves out at the start of every minute but each tenth."""


def counted_rate(fps: Fraction) -> int:
    """Return how many frames timecode counts as a second: 25 for 25, 24 for 24000/1001.

    Raises:
        SettingsError: neither a whole number nor n * 1000/1001, or more than MAX_RATE.
    """
    for rate in (fps, fps * 1001 / 1000):
        if rate.denominator == 1 and 1 <= rate <= MAX_RATE:
            return int(rate)
    raise SettingsError(
        f"{fps} fps has no timecode: use a whole rate up to {MAX_RATE}, or one such as 24000/1001 or 30000/1001"
    )


@dataclass(frozen=True)
class Timecode:
    """The number of a frame, written ``01:00:00:00``, or ``01:00:00;00`` with drop-frame.

    Attributes:
        fps: the exact rate.
        frame: counted from 00:00:00:00, below ``day``.
        drop: whether numbers are left out to keep up with the clock; only at 30000/1001 and 60000/1001.

    Raises:
        SettingsError: a rate that has no timecode, or no drop-frame.
        ValueError: a frame outside the day.
    """

    fps: Fraction
    frame: int = 0
    drop: bool = False

    def __post_init__(self) -> None:
        """Refuse what no timecode can say."""
        counted_rate(self.fps)
        if self.drop and self.fps not in _LEFT_OUT:
            raise SettingsError(
                f"drop-frame timecode (;) is for 30000/1001 and 60000/1001 fps, this is {self.fps}: write a colon"
            )
        if not 0 <= self.frame < self.day:
            raise ValueError(f"frame {self.frame} is outside the {self.day} frames of a day")

    @classmethod
    def parse(cls, text: str, fps: Fraction) -> Self:
        """Read ``"01:00:00:00"``, or ``"01:00:00;00"`` for drop-frame.

        Raises:
            SettingsError: written otherwise, a field out of range, a number that drop-frame leaves out, or
                a rate that has no such timecode.
        """
        match = re.fullmatch(r"(\d\d):(\d\d):(\d\d)([:;])(\d\d)", text.strip(), re.ASCII)
        if not match:
            raise SettingsError(f"timecode {text!r}: write 01:00:00:00, or 01:00:00;00 for drop-frame")
        hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
        zero = cls(fps, drop=match[4] == ";")
        rate = counted_rate(fps)
        for value, end, what in ((hours, 24, "hour"), (minutes, 60, "minute"), (seconds, 60, "second")):
            if value >= end:
                raise SettingsError(f"timecode {text!r}: the last {what} is {end - 1}")
        if frames >= rate:
            raise SettingsError(f"timecode {text!r}: at {fps} fps the last frame of a second is {rate - 1}")
        left_out = zero._left_out
        if minutes % 10 and seconds == 0 and frames < left_out:
            raise SettingsError(
                f"timecode {text!r}: drop-frame leaves this number out: the minute begins with ;{left_out:02d}"
            )
        minutes += hours * 60
        number = (minutes * 60 + seconds) * rate + frames
        return replace(zero, frame=number - left_out * (minutes - minutes // 10))

    def at(self, fps: Fraction) -> Self:
        """The timecode of the same moment at another rate; drop-frame stays where the rate has it.

        Raises:
            SettingsError: a rate that has no timecode.
        """
        drop = self.drop and fps in _LEFT_OUT
        seconds = self.frame / (self.fps if self.drop else Fraction(counted_rate(self.fps)))
        zero = replace(self, fps=fps, frame=0, drop=drop)
        return zero + round(seconds * (fps if drop else counted_rate(fps)))

    @property
    def day(self) -> int:
        """Frames in 24 hours of timecode."""
        return 24 * 6 * self._ten_minutes

    def __add__(self, frames: int) -> Self:
        """The timecode so many frames later; after 24 hours it starts again."""
        return replace(self, frame=(self.frame + frames) % self.day)

    def __str__(self) -> str:
        rate, left_out = counted_rate(self.fps), self._left_out
        tens, rest = divmod(self.frame, self._ten_minutes)
        # The first of ten minutes has all its numbers, so it is longer than the others by those left out.
        minutes = max(0, rest - left_out) // (60 * rate - left_out)
        seconds, frames = divmod(self.frame + left_out * (9 * tens + minutes), rate)
        mark = ";" if self.drop else ":"
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{frames:02d}"

    @property
    def _left_out(self) -> int:
        return _LEFT_OUT[self.fps] if self.drop else 0

    @property
    def _ten_minutes(self) -> int:
        return 600 * counted_rate(self.fps) - 9 * self._left_out
