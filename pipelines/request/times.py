"""Times as people write them, in frames."""

from __future__ import annotations

import re
from fractions import Fraction

from morph.errors import SettingsError


def parse_time(text: str, fps: Fraction) -> int:
    """The nearest frame to a time: ``2.5`` or ``2.5s`` in seconds, ``60f`` in frames.

    Raises:
        SettingsError: anything else.
    """
    match = re.fullmatch(r"(\d{1,7}(?:\.\d{1,6})?)s?|(\d{1,7})f", str(text).strip(), re.ASCII)
    if not match:
        raise SettingsError(f"time {str(text)!r}: write 2.5 or 2.5s for seconds, 60f for frames")
    return int(match[2]) if match[2] else round(Fraction(match[1]) * fps)


def frames_of(duration: str, fps: Fraction, back: bool = False) -> int:
    """How many frames a film of a duration has, as :func:`parse_time` takes it, to the nearest.

    back: it goes there and back, and those on the way there are wanted: neither end is shown twice.

    Raises:
        SettingsError: no time.
    """
    try:
        frames = parse_time(duration, fps)
    except SettingsError as error:
        raise SettingsError(f"duration: {error}") from None
    return (frames + 2) // 2 if back else frames
