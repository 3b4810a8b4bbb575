"""A folder into which manifests and folders of images are dropped."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from pathlib import Path

from morph.errors import InputError
from morph.media.stills import frame_numbers
from pipelines.manifest import PICTURES, is_manifest

PAUSE = 1.0
"""Seconds between two looks; what has not changed in between is taken to be whole."""


def dropped(folder: Path, own: Container[Path] = ()) -> Iterator[Path]:
    """Manifests and folders of at least two pictures, each when it has stopped changing, and again if it changes.

    Those that are there already come first, manifests before folders. Folders in ``own``, which may grow, are
    left out, and so are those of numbered frames. It never ends.
    """
    seen: dict[Path, object] = {}
    given: dict[Path, object] = {}
    while True:
        paths = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path))
        now = {path: state for path in paths if (state := _state(path)) is not None}
        for path, state in now.items():
            if path not in own and seen.get(path) == state != given.get(path):
                given[path] = state
                yield path
        seen = now
        time.sleep(PAUSE)


def _state(path: Path) -> object:
    """What changes when somebody writes to it; None for what is not to be rendered."""
    try:
        if path.is_file() and is_manifest(path):
            return _stamp(path)
        if path.is_dir() and path.suffix != ".job" and not path.name.startswith(".") and not frame_numbers(path):
            pictures = [own for own in sorted(path.iterdir()) if own.suffix.lower() in PICTURES]
            return [(own.name, *_stamp(own)) for own in pictures] if len(pictures) > 1 else None
    except (OSError, InputError):  # gone between two looks
        return None
    return None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
