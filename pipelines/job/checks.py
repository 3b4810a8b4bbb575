"""What a clip must not write over: its own sources, and finished work of something else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from morph.errors import ExistsError, SettingsError
from morph.media.moment import file_of
from morph.media.pattern import StillPattern, is_stills
from morph.media.recipe import check_recipe
from morph.media.stills import frame_numbers
from pipelines.job.written import Written, written, written_numbers
from pipelines.output.cutting import check_cut, part_files, parts_folder
from pipelines.output.existing import REMEDY, numbers_there
from pipelines.output.outputs import RECIPE, Output, beside
from pipelines.request.clip import Clip
from pipelines.request.presets import names_file


def check_files(clip: Clip, outputs: Sequence[Output], folder: Path, overwrite: bool = False) -> None:
    """Refuse, before anything is rendered, files that the job in ``folder`` could not write or must not replace.

    Raises:
        ExistsError: as :func:`check_existing`, unless ``overwrite``.
        InputError: with what to do.
    """
    giving = {output.path: giving_way(output, folder, overwrite=True) for output in outputs}
    for output in outputs:
        output.check(replace=giving[output.path])
    check_cut(clip, outputs)
    recipe = beside(clip.output, RECIPE)
    check_recipe(recipe)
    replaced = [path for output in outputs for path in output.replaces(giving[output.path])]
    timeline = clip.settings.encode.timeline
    _check_sources(clip, [*replaced, recipe, *([Path(timeline)] if timeline else []), *part_files(clip)])
    if not overwrite:
        check_existing(clip, folder, [output.path for output in outputs])


def giving_way(output: Output, folder: Path, overwrite: bool) -> set[int]:
    """Numbers of the stills on disk that an output may replace: what the job in ``folder`` wrote.

    overwrite: and whatever is where its own will be.
    """
    own = written_numbers(folder, output.path)
    start = output.encode.start
    return {number for number in numbers_there(output) if number in own or (overwrite and number >= start)}


def check_existing(clip: Clip, folder: Path, outputs: Sequence[Path]) -> None:
    """Refuse to replace what the job in ``folder`` did not write, or wrote of other images than the clip's.

    outputs: where the clip's frames go; its timeline is looked at as well. Nothing is opened.

    Raises:
        ExistsError: what is there, and what to do.
    """
    timeline, parts = clip.settings.encode.timeline, parts_folder(clip)
    reasons = [reason for path in outputs for reason in _in_the_way(clip, folder, path)]
    if timeline:
        reasons += _in_the_way(clip, folder, Path(timeline))
    if parts and (movie := next(iter(sorted(part_files(clip))), None)):
        reasons += _whose(clip, written(folder, parts), movie, None)
    if reasons:
        more = f"; {len(reasons) - 1} more of its files likewise" if len(reasons) > 1 else ""
        raise ExistsError(f"{reasons[0]}{more}: {REMEDY}")


def _in_the_way(clip: Clip, folder: Path, path: Path) -> Iterator[str]:
    """What is told of finished work where an output goes, if it is not the job's to replace."""
    entry = written(folder, path)
    if not is_stills(path):
        if os.path.lexists(path):
            yield from _whose(clip, entry, path, path)
        return
    stills, start = StillPattern.parse(path), clip.settings.encode.start
    numbers = frame_numbers(stills) if os.path.isdir(stills.folder) else []
    if not numbers or numbers[-1] == start - 1:  # it carries on
        return
    others = numbers if entry is None or not entry.is_of(clip) else [n for n in numbers if n not in entry.numbers]
    if others and others[-1] != start - 1:
        whose = " of other images" if entry and others[-1] in entry.numbers else ", and this job did not write it"
        yield f"{stills.folder}: already holds frames up to {stills.path(others[-1]).name}{whose}"


def _whose(clip: Clip, entry: Written | None, path: Path, file: Path | None) -> Iterator[str]:
    """What is told of a file that is there; nothing if the job wrote it, of these images. ``file`` is whole so."""
    if entry is None:
        yield f"{path}: is there already, and this job did not write it"
    elif not entry.is_of(clip):
        yield f"{path}: is there already, and shows other images"
    elif file and file.is_file() and not entry.is_intact(file):
        yield f"{path}: is there already, and was changed since this job wrote it"


def _check_sources(clip: Clip, files: Iterable[Path]) -> None:
    """Refuse to replace what the clip is made from."""
    encode = clip.settings.encode
    sources = [(file_of(keyframe.image), "one of the images") for keyframe in clip.keyframes]
    points = (keyframe.settings.align.points for keyframe in clip.keyframes)
    sources += [(Path(name), "a file of points") for name in points if name]
    sources += [(file, f"the {name} of an edit") for edit in clip.edits for name, file in edit.files.items()]
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
