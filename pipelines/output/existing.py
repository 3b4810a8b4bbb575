"""Finished work that is there already, where the output itself has to say what made it: its recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from morph.errors import ExistsError, InputError, SettingsError
from morph.media.pattern import StillPattern
from morph.media.recipe import read_recipe
from morph.media.stills import frame_numbers
from morph.media.target import CONTAINERS
from pipelines.output.outputs import RECIPE, Output, beside

REMEDY = "move it away, name another output, or add --overwrite"
"""What people can do about an output's name that is taken."""
Known = Callable[[Mapping[str, Any]], bool]
"""Whether a recipe is of the same work."""


def check_free(output: Output, known: Known) -> None:
    """Refuse an output whose place is taken, unless the recipe of what is there is ``known``.

    Raises:
        ExistsError: something is there that may not be replaced.
    """
    if output.target:
        check_file(output.path, known)
        return
    numbers, stills = sorted(numbers_there(output)), StillPattern.parse(output.path)
    if not numbers or numbers[-1] == output.encode.start - 1:
        return
    if not all(_says(stills.path(number), known) for number in (numbers[0], numbers[-1])):
        last = stills.path(numbers[-1]).name
        raise ExistsError(f"{stills.folder}: already holds frames up to {last} of something else: {REMEDY}")


def check_file(path: Path, known: Known) -> None:
    """Refuse a file that is there, unless its recipe is ``known``.

    Raises:
        ExistsError: it may not be replaced.
    """
    if os.path.lexists(path) and not _says(path, known):
        raise ExistsError(f"{path}: is there already, and something else made it: {REMEDY}")


def refuse_inputs(path: Path, inputs: Iterable[Path], stills: StillPattern | Path | None = None) -> None:
    """Refuse an output that would take the place of what it is made of; ``stills``: the frames that it is.

    Raises:
        SettingsError: which input it is.
    """
    for file in inputs:
        if path.exists() and file.exists() and path.samefile(file):
            raise SettingsError(f"output {str(path)!r} is the input {str(file)!r} itself; name another file")
        if stills is not None and any(_is_frame(name, stills) for name in (file, file.resolve())):
            raise SettingsError(f"output {str(path)!r} would replace its input {str(file)!r}; name another folder")


def _is_frame(file: Path, stills: StillPattern | Path) -> bool:
    """Whether a file is one of numbered frames, whatever its number."""
    pattern = stills if isinstance(stills, StillPattern) else StillPattern.parse(stills)
    inside = pattern.folder.resolve() == file.parent.resolve()
    return inside and pattern.number(file.name) is not None


def numbers_there(output: Output, from_start: bool = False) -> set[int]:
    """Numbers of the stills on disk where an output goes; ``from_start``: from that of its first on."""
    if output.target or not os.path.isdir(output.folder):
        return set()
    first = output.encode.start if from_start else 0
    return {number for number in frame_numbers(StillPattern.parse(output.path)) if number >= first}


def _says(path: Path, known: Known) -> bool:
    """Whether the recipe in a file, or the one beside it where the file can hold none, is known."""
    try:
        return known(read_recipe(path if holds_recipe(path) else beside(path, RECIPE)))
    except InputError:
        return False


def holds_recipe(path: Path) -> bool:
    """Whether files of this kind have room for a recipe."""
    container = CONTAINERS.get(path.suffix.lower())
    return container is None or container.comment
