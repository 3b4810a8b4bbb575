"""What a number among the settings may be."""

from __future__ import annotations

from fractions import Fraction

from morph.errors import SettingsError


def within(key: str, value: float | Fraction, low: float | Fraction, high: float | Fraction) -> None:
    """Refuse a value outside of [low, high] by a SettingsError that names its key."""
    if not low <= value <= high:  # also catches NaN
        raise SettingsError(f"{key} is {value}; it must be from {low} to {high}")
