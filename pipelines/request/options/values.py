"""Values of settings as people write them, and sections with these in place of others."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, get_args, get_type_hints

from morph.errors import SettingsError

Place = tuple[Sequence[str], Any, str]
"""The parts of a key that are still to be followed, the value, and the whole key."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text"}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def with_values(section: Any, values: Mapping[str, Any], unknown: Callable[[str], SettingsError]) -> Any:
    """A section with these values in place of what it had; nested keys are nested mappings or dotted.

    Raises:
        SettingsError: a key that it has not, as ``unknown`` says it, or a value of the wrong kind or range.
    """
    return _changed(section, [(key.split("."), value, key) for key, value in values.items()], unknown)


def _changed(section: Any, values: Sequence[Place], unknown: Callable[[str], SettingsError]) -> Any:
    """A section with values at the paths of keys, all at once: one by one they may not go with what it had."""
    hints = _hints(section.__class__)
    changes: dict[str, Any] = {}
    group_values: dict[str, list[Place]] = {}
    for (name, *rest), value, key in values:
        if name not in hints:
            raise unknown(key)
        if not is_dataclass(hints[name]):
            if rest:
                raise SettingsError(f"there is no setting {key}; {name} has no parts")
            changes[name] = parsed(value, hints[name], key)
        elif rest:
            group_values.setdefault(name, []).append((rest, value, key))
        elif isinstance(value, Mapping):
            parts = (([part], nested, f"{key}.{part}") for part, nested in value.items())
            group_values.setdefault(name, []).extend(parts)
        else:
            known = [f"{key}.{part}" for part in _hints(hints[name])]
            raise SettingsError(f"{key} is a group of settings; set one of {', '.join(known)}")
    changes |= {name: _changed(getattr(section, name), nested, unknown) for name, nested in group_values.items()}
    return replace(section, **changes)


def parsed(value: Any, kind: Any, key: str) -> Any:
    """A value as the ``kind`` that a setting has, from text where it is text.

    Raises:
        SettingsError: it is none.
    """
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise SettingsError(f"{key} is {value!r}; it must be one of {', '.join(choices)}")
        return value
    if kind is Fraction:
        from morph.media.video import parse_fps

        return value if isinstance(value, Fraction) else parse_fps(str(value))
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() not in _WORDS:
            raise SettingsError(f"{key} is {value!r}; it must be true or false")
        return _WORDS[str(value).lower()]
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise SettingsError(f"{key} is {value!r}; it must be {_KINDS[kind]}")
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        comma = kind is float and _DECIMAL_COMMA.fullmatch(str(value))
        point = f", with a point: {comma[0].replace(',', '.')}" if comma else ""
        raise SettingsError(f"{key} is {value!r}; it must be {_KINDS[kind]}{point}") from None


@functools.cache  # evaluating them takes longer than everything else here
def _hints(section: type) -> dict[str, Any]:
    own = {part.name for part in fields(section)}  # a section's prefix is no setting
    return {name: kind for name, kind in get_type_hints(section).items() if name in own}


def keys(section: Any, prefix: str = "") -> dict[str, Any]:
    """Settings as a flat mapping of dotted keys to plain values, for recipes and for :func:`with_values`."""
    flat: dict[str, Any] = {}
    for part in fields(section):
        value = getattr(section, part.name)
        if is_dataclass(value):
            flat |= keys(value, f"{prefix}{part.name}.")
        else:
            flat[prefix + part.name] = str(value) if isinstance(value, Fraction) else value
    return flat
