"""A folder into which manifests and folders of images are dropped, each to be rendered."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from morph.errors import InputError, MorphError, SettingsError
from morph.media.kinds import PICTURES
from morph.media.pattern import StillPattern, is_stills
from morph.media.recipe import read_recipe
from morph.media.stills import frame_numbers
from pipelines.batch.clips import clips_at
from pipelines.batch.options import Options
from pipelines.batch.render import render_clips
from pipelines.manifest.read import is_manifest
from pipelines.request.clip import Clip

if TYPE_CHECKING:
    from pipelines.batch.outcome import Outcome

PAUSE = 1.0
"""Seconds between two looks; what has not changed in between is taken to be whole."""

Mending = Mapping[Path, Collection[Path] | None]
"""What failed, and the files with which it may not fail; None where any file may be the one."""
log = logging.getLogger("morph")


def watch(folder: Path, options: Options) -> Iterator[list[Outcome]]:
    """Render what is dropped into a folder, and what it holds already first; what became of each batch, for ever.

    What cannot be rendered is told of, and tried again when files there change.

    Raises:
        SettingsError: ``folder`` is none.
    """
    if not folder.is_dir():
        raise SettingsError(f"--watch {folder}: is no folder")
    log.warning("watching %s; Ctrl-C ends it", folder)
    excluded: set[Path] = set()  # what manifests read or write is not dropped in for its own sake
    failed: dict[Path, list[Path] | None] = {}
    last_errors: dict[Path, str] = {}
    for path in dropped(folder, excluded, failed):
        try:
            clips = clips_at(path, options)
            excluded |= {place for clip in clips for place in _places(clip)} - {path}
            log.warning("%s:", path)
            outcomes = render_clips(clips, Path(f"{path}.job"), options)
        except MorphError as error:
            failed[path] = None
            if last_errors.get(path) != str(error):  # tried again in vain, it need not be said again
                log.warning("%s is not rendered, and tried again when files here change: %s", path, error)
            last_errors[path] = str(error)
            continue
        last_errors.pop(path, None)
        failed_clips = {outcome.name for outcome in outcomes if outcome.error}
        failed[path] = [Path(file) for clip in clips if clip.name in failed_clips for file in clip.files]
        yield outcomes


def _places(clip: Clip) -> set[Path]:
    """The folders that a clip's images lie in, and its output, or the folder of its numbered stills."""
    output = StillPattern.parse(clip.output).folder if is_stills(clip.output) else clip.output
    return {output} | {entry.image.parent for entry in clip.keyframes}


def dropped(folder: Path, excluded: Container[Path] = (), failed: Mending = MappingProxyType({})) -> Iterator[Path]:
    """Manifests and folders of at least two pictures, each when it has stopped changing, and again if it changes.

    Those that are there already come first, manifests before folders. Recipes are no manifests. Folders in
    ``excluded``, which may grow, are left out, and so are those of numbered frames. What is in ``failed``, which
    may change, comes again when one of its files in ``folder`` has changed. It never ends.
    """
    previous: dict[Path, tuple[object, object]] = {}
    yielded: dict[Path, tuple[object, object]] = {}
    while True:
        paths = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path))
        states = {path: state for path in paths if (state := _state(path)) is not None}
        files = _files(folder)
        current = {path: (state, _mending_state(path, files, failed)) for path, state in states.items()}
        for path, state in current.items():
            if path not in excluded and previous.get(path) == state != yielded.get(path):
                yielded[path] = state
                if not _is_recipe(path):
                    yield path
                    # by the files as they were: they may have changed while it was in work
                    yielded[path] = states[path], _mending_state(path, files, failed)
        previous = current
        time.sleep(PAUSE)


def _state(path: Path) -> object:
    """What changes when somebody writes to it; None for what is not to be rendered."""
    try:
        if path.is_file() and is_manifest(path):
            return _stamp(path)
        if path.is_dir() and not _is_job_or_hidden(path.name) and not frame_numbers(path):
            pictures = [picture for picture in sorted(path.iterdir()) if picture.suffix.lower() in PICTURES]
            return [(picture.name, *_stamp(picture)) for picture in pictures] if len(pictures) > 1 else None
    except (OSError, InputError):  # gone between two looks
        return None
    return None


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """What lies in a folder and in those inside it, but for jobs, and what changes when somebody writes to it."""
    files = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_job_or_hidden(name)]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            with suppress(OSError):  # gone since it was listed
                files[path] = _stamp(path)
    return files


def _mending_state(path: Path, files: Mapping[Path, object], failed: Mending) -> object:
    """What changes when something is written that may mend what failed."""
    if path not in failed:
        return None
    mending_files = failed[path]
    return files if mending_files is None else [files.get(file) for file in mending_files]


def _is_job_or_hidden(name: str) -> bool:
    """Whether a folder is a job or hidden."""
    return name.startswith(".") or name.endswith(".job")


def _is_recipe(path: Path) -> bool:
    """Whether a file tells how a clip was made, as one lies beside every output."""
    try:
        return path.suffix.lower() == ".json" and bool(read_recipe(path))
    except InputError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
