"""The recipe of a file: how it was made, as JSON in its comment, or in a file of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from morph.errors import EncodeError, InputError
from morph.media import probe, stills
from morph.media.pattern import SUFFIXES, StillPattern
from morph.media.png import MAX_COMMENT
from morph.media.stills import atomic_path
from morph.media.target import CONTAINERS
from morph.text import loads, read_text


def published(path: str | Path) -> str:
    """How a recipe names a path: as it was typed where it leads down from here, else by its last name alone.

    Recipes travel with their films, and the folders above a file tell whose it is.
    """
    parts = Path(path).parts
    outside = Path(path).is_absolute() or ".." in parts or parts[:1] == ("~",)
    return Path(path).name if outside else str(path)


def write_recipe(path: Path, recipe: dict[str, Any], mark: str = "") -> None:
    """Write a recipe as a JSON file, atomically; ``mark`` stands in the name of the unfinished file.

    Raises:
        EncodeError: the disk refused.
    """
    try:
        with atomic_path(path, mark) as partial:
            partial.write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise EncodeError(f"{path}: cannot be written ({error.strerror or error})") from error


def check_recipe(path: Path) -> None:
    """Refuse a file in the way that is no recipe: nobody named this one to be replaced.

    Raises:
        InputError: there is one.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise InputError(f"{path}: the recipe cannot go here ({error.strerror}): choose a shorter name") from None
    if there:
        try:
            read_recipe(path)
        except InputError:
            raise InputError(f"{path}: the recipe goes here, and it is something else: move it away") from None


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe in a video, a still, the first still of a folder, or a JSON file.

    Raises:
        InputError: it cannot be read, or holds no recipe.
    """
    recipe = parse_recipe(_text(path) or "")
    if recipe is None:
        raise InputError(f"{path}: holds no recipe of morph: name a video, a frame, or the .json beside them")
    return recipe


def parse_recipe(text: str) -> dict[str, Any] | None:
    """The recipe that a comment is; None for any other text."""
    try:
        recipe = loads(text)
    except (ValueError, RecursionError):
        return None
    return recipe if isinstance(recipe, dict) and "morph" in recipe else None


def _text(path: Path) -> str | None:
    if path.is_dir():
        numbers = stills.frame_numbers(path)
        if not numbers:
            raise InputError(f"{path}: holds no frames: name a video, a frame, or the .json beside them")
        path = StillPattern.parse(path).path(numbers[0])
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return stills.read_comment(path)
    if suffix != ".json":
        return probe.read_comment(path) if CONTAINERS.get(suffix) is None or CONTAINERS[suffix].comment else None
    try:
        return read_text(path, MAX_COMMENT, "a recipe")
    except FileNotFoundError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
