"""What people type into nodes, read: prompts, settings, points, sizes and rates."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from morph.errors import MorphError, SettingsError
from morph.media.keyframe import parse_size
from morph.media.points import MarkedPoints, parse_points
from morph.media.video import parse_fps
from pipelines.request.settings import every_setting, unknown

INPUTS = ("frames", "seed", "size")
"""Settings that have an input of their own."""


def prompts_in(text: str) -> list[str]:
    """One prompt a line; none where there is nothing but blanks."""
    return [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []


def settings_in(text: str) -> dict[str, str]:
    """Settings, ``key=value`` a line; empty lines and those that begin with a # are passed over.

    Raises:
        SettingsError: a line without a value, or a setting that is not the node's to have.
    """
    values: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        if line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise SettingsError(f"settings: {line!r}: write key=value, a line each; morph settings lists the keys")
        if key not in every_setting():
            raise unknown(key)
        if key in INPUTS or key == "align.points":
            raise SettingsError(f"settings: {key} has an input of its own; leave it out here")
        if key.startswith("encode."):
            raise SettingsError(f"settings: {key} is about files; the node that saves them has inputs for it")
        values[key] = value
    return values


def points_in(text: str) -> MarkedPoints | None:
    """Places that are the same, ``xa, ya, xb, yb`` a line; None where there is nothing but blanks.

    Raises:
        InputError: anything in it is not four numbers.
    """
    return parse_points(Path("points"), text) if text.strip() else None


def size_in(text: str) -> tuple[int, int] | None:
    """A size (width, height), "256" or "320x192"; None where there is nothing but blanks.

    Raises:
        SettingsError: it is no size.
    """
    return parse_size(text) if text.strip() else None


def rate_in(text: str) -> Fraction:
    """Frames a second, exact: "24", "12.5" or "24000/1001".

    Raises:
        SettingsError: it is no rate.
    """
    return parse_fps(text.strip())


def refusal(check: Callable[[], object]) -> bool | str:
    """What ComfyUI wants of a check before anything runs: True, or why not."""
    try:
        check()
    except MorphError as error:
        return " ".join(str(error).split())
    return True


def typed(value: Any) -> str:
    """A text as it was typed in; nothing where it comes from another node, which has not run yet."""
    return value if isinstance(value, str) else ""
