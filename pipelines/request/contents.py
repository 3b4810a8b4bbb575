"""Files found again by their contents, wherever they were moved to and whatever they are called now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from morph.errors import InputError
from morph.media.kinds import FILMS, OTHER_PICTURES, PICTURES
from morph.media.moment import Moment, file_of
from morph.media.points import MAX_BYTES

SUFFIXES = {
    "picture": (*PICTURES, *OTHER_PICTURES),
    "film": FILMS,
    "LoRA": (".safetensors",),
    "token": (".safetensors",),
    "points": (".txt", ".csv", ".json", ".tsv"),
    "file": (),
}
"""Of the files of a folder that are looked into for each kind of thing, besides those of the suffix that it had."""
NAMED = 3
"""How many of the files that were taken for others are told by their names."""


def hash_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes; of a frame of a film, those of the film.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with file_of(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a name that none can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class Contents:
    """Finds files by SHA-256: where they were, under the same names in some folders, then under any name in these.

    Folders are not searched further down. No file is read twice. ``known`` are places where files of a name may be
    too.
    """

    def __init__(self, folders: Sequence[Path], known: Sequence[Path] = ()) -> None:
        self._folders, self._known = folders, known
        self._hashes: dict[Path, str] = {}
        self._listed: dict[str, list[Path]] = {}
        self._found: dict[Path, Path] = {}

    def find(self, kind: str, file: Path, digest: str, size: int | None = None, place: Path | None = None) -> Path:
        """The file with these contents, or a frame of that film; ``kind`` is one of ``SUFFIXES``.

        size: its bytes, where they are known: others are not read. place: where somebody says that it is.

        Raises:
            InputError: it is in none of these places.
        """
        if kind == "picture" and (moment := Moment.parse(file)):
            film = self.find("film", moment.film, digest, size, place)
            return Path(str(replace(moment, film=film)))
        places = [*([place] if place else []), *self._places(file)]
        files = [path for path in dict.fromkeys(places) if _is_file(path)]
        found = self._with(digest, files, size) or self._with(digest, self._others(kind, file), size)
        if found is None:
            problem = f"{files[0]} is there, but it has changed" if files else f"{file} is not there"
            raise InputError(f"{problem}: name the folder of the {kind} with SHA-256 {digest[:12]} by --images")
        if found.name != file.name or (found != file and _is_file(file)):
            self._found[file] = found
        return found

    def folder(self, name: str) -> str:
        """The folder of weights of this name; where there is none, the name itself."""
        return next((str(path) for path in self._places(Path(name)) if os.path.isdir(path)), name)

    def _places(self, file: Path) -> list[Path]:
        """Where a file may be under the name that it had."""
        named = [folder / name for name in (file, file.name) for folder in self._folders]
        return [file, *named, *(path for path in self._known if path.name == file.name)]

    @property
    def told(self) -> str:
        """What was taken under another name, or in place of a file that has changed, as a line for people."""
        names = ", ".join(f"{file} is {found}" for file, found in list(self._found.items())[:NAMED])
        more = f" and {len(self._found) - NAMED} more" if len(self._found) > NAMED else ""
        return f"found by contents: {names}{more}" if names else ""

    def _with(self, digest: str, files: Iterable[Path], size: int | None) -> Path | None:
        for path in files:
            if size is not None and path.stat().st_size != size:
                continue
            if path not in self._hashes:
                self._hashes[path] = hash_of_file(path)
            if self._hashes[path] == digest:
                return path
        return None

    def _others(self, kind: str, file: Path) -> list[Path]:
        """The files of the folders that may be this one under another name."""
        suffixes = {*SUFFIXES[kind], file.suffix.lower()}
        listed = [
            path for folder in self._folders for path in self._files(folder) if path.suffix.lower() in suffixes
        ]
        return [path for path in listed if path.stat().st_size <= MAX_BYTES] if kind == "points" else listed

    def _files(self, folder: Path) -> list[Path]:
        """The files of a folder, in the order of their names; none where it cannot be listed."""
        if (key := str(folder)) not in self._listed:
            try:
                self._listed[key] = sorted(path for path in folder.iterdir() if path.is_file())
            except OSError:
                self._listed[key] = []
        return self._listed[key]
