"""Targets by their names: TOML files in ``configs/encode``, or a person's own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from morph.errors import SettingsError
from morph.media.target import CONTAINERS, Target
from morph.text import read_toml
from pipelines.request.presets import configs_folder, names_file

FOLDER = "encode"
"""Where configs_folder() has targets."""
_WORDS = {str: "text", int: "a whole number"}


def target_names() -> list[str]:
    """Names that :func:`load_target` knows."""
    return sorted(path.stem for path in (configs_folder() / FOLDER).glob("*.toml"))


def target_for(path: Path, name: str = "auto") -> Target:
    """The target of a name, or for "auto" that of a file's suffix.

    Raises:
        SettingsError: there is none.
    """
    if name != "auto":
        return load_target(name)
    for known_name in target_names():
        if path.suffix.lower() in (target := load_target(known_name)).default_for:
            return target
    raise SettingsError(
        f"{path}: unknown kind of file {path.suffix!r}: use {', '.join(CONTAINERS)}, name.%04d.png, .tif or .exr, "
        "or a folder, without a suffix, for PNGs"
    )


def load_target(name: str) -> Target:
    """A target by its name or another that people call it, or from a TOML file.

    Raises:
        SettingsError: no such target or file, or a file that is none.
    """
    return _read(Path(name), name) if names_file(name) else _known(name)


@cache
def _known(name: str) -> Target:
    if name not in target_names():
        for known_name in target_names():
            if name.lower() in (target := _known(known_name)).also:
                return target
    return _read(configs_folder() / FOLDER / f"{name}.toml", name)


def _read(path: Path, name: str) -> Target:
    try:
        values = read_toml(path, "an encode preset", SettingsError)
    except FileNotFoundError:
        near = difflib.get_close_matches(name, target_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        alternatives = f"there are {', '.join(target_names())}, and TOML files"
        raise SettingsError(f"there is no encode preset {name}; {hint}{alternatives}") from None
    try:
        return cast(Target, _filled(Target, values, name=path.stem))
    except SettingsError as error:
        raise SettingsError(f"encode preset {path}: {error}") from None


def _filled(kind: type[Any], values: Any, key: str = "", **known: Any) -> Any:
    """A dataclass of a TOML table: the right keys, and values of the types it states; ``known`` are its others."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{key} is {values!r}; it must be a table")
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in known}
    prefix = key and f"{key}."
    needed = {field.name for field in fields(kind) if field.default is MISSING} & hints.keys()
    for name in sorted(values.keys() ^ needed):
        if name not in hints:
            raise SettingsError(f"there is no {prefix}{name}; known are {', '.join(sorted(hints))}")
        if name not in values:
            raise SettingsError(f"{prefix}{name} is missing")
    return kind(**known, **{name: _typed(value, hints[name], prefix + name) for name, value in values.items()})


def _typed(value: Any, hint: Any, key: str) -> Any:
    if is_dataclass(hint):
        return _filled(hint, value, key)  # type: ignore[arg-type]
    if get_origin(hint) is not tuple:
        if type(value) is not hint:
            raise SettingsError(f"{key} is {value!r}; it must be {_WORDS[hint]}")
        return value
    item_type, rest = get_args(hint)
    is_list = isinstance(value, list) and all(type(part) is item_type for part in value)
    if not is_list or (rest is not ... and len(value) != 2):
        count = "parts" if rest is ... else "two"
        raise SettingsError(f"{key} is {value!r}; it must be a list of {count}, each {_WORDS[item_type]}")
    return tuple(value)
