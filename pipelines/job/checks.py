"""What a clip must not write over: its own sources, and what its job did not write where nobody named a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from morph.errors import InputError, SettingsError
from morph.media.recipe import check_recipe
from pipelines.job.folder import has_written, written_numbers
from pipelines.output.cutting import check_cut, part_files, parts_folder
from pipelines.output.outputs import RECIPE, Output, beside
from pipelines.request.clip import Clip
from pipelines.request.presets import names_file


def check_files(clip: Clip, outputs: Sequence[Output], folder: Path) -> None:
    """Refuse, before anything is rendered, files that the job in ``folder`` could not write or must not replace.

    Raises:
        InputError: with what to do.
    """
    for output in outputs:
        output.check(replace=written_numbers(folder, output.path))
    check_cut(clip, outputs)
    recipe = beside(clip.output, RECIPE)
    check_recipe(recipe)
    replaced = [path for output in outputs for path in output.replaces(written_numbers(folder, output.path))]
    if not clip.named and outputs[0].target:
        _check_unnamed(replaced[:1], folder, clip.output, "name an output")
    timeline = clip.settings.encode.timeline
    parts = parts_folder(clip)
    if parts:
        _check_unnamed(part_files(clip), folder, parts, "give the timeline another name")
    _check_sources(clip, [*replaced, recipe, *([Path(timeline)] if timeline else []), *part_files(clip)])


def _check_unnamed(files: Iterable[Path], folder: Path, output: Path, remedy: str) -> None:
    """Refuse what is there already under a name that nobody gave, unless it is the job's own."""
    existing = next((file for file in files if os.path.lexists(file)), None)
    if existing and not has_written(folder, output):
        raise InputError(f"{existing}: is there already, and this job did not write it: move it away, or {remedy}")


def _check_sources(clip: Clip, files: Iterable[Path]) -> None:
    """Refuse to replace what the clip is made from."""
    encode = clip.settings.encode
    sources = [(keyframe.image, "one of the images") for keyframe in clip.keyframes]
    points = (keyframe.settings.align.points for keyframe in clip.keyframes)
    sources += [(Path(name), "a file of points") for name in points if name]
    sources += [(Path(encode.audio), "the sound")] if encode.audio else []
    sources += [(Path(encode.preset), "the encode preset")] if names_file(encode.preset) else []
    roles: dict[tuple[int, int] | None, str] = {_identity(path): role for path, role in sources}
    roles.pop(None, None)
    for file in files:
        if role := roles.get(_identity(file)):
            raise SettingsError(f"{file}: would be written over, and is {role}: choose another output")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells whether two names are of one file; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
