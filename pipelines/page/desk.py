"""The folder in which the page works: pictures that were brought, the work in hand, and a folder for each film."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from PIL import Image

from morph.errors import InputError, KeyframeError
from morph.media.frame import to_rgb8
from morph.media.image import check_image, read_image
from morph.media.stills import atomic_path
from morph.text import parse_json, read_text
from pipelines.job.folder import finished, job_folder
from pipelines.page.draft import Draft, Pair, Shot, plain_name
from pipelines.request.contents import hash_of_file

MAX_UPLOAD = 64 * 1024**2
"""Bytes of a file that is brought to the page."""
MAX_DRAFT = 4 * 1024**2
DRAFT = "draft.json"
VIEW = 1024
"""Pixels of the longer side of what the browser shows of a picture."""


@dataclass(frozen=True)
class Film:
    """A film of the desk. done: None where no work was begun, False where it was broken off or goes on."""

    name: str
    folder: Path
    done: bool | None

    @property
    def file(self) -> Path:
        """The film itself."""
        return self.folder / f"{self.name}.mp4"

    @property
    def job(self) -> Path:
        """Where its work is kept."""
        return job_folder(self.file)


class Desk:
    """What is in the folder ``root``; it is made if it is not there. Several threads may ask."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.pictures, self.views, self._films = (self.root / name for name in ("pictures", "views", "films"))
        self._lock = RLock()
        try:
            for folder in (self.pictures, self.views, self._films):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{root}: cannot be the page's folder ({error.strerror}); name another") from error
        self._draft = self._read_draft()

    @property
    def draft(self) -> Draft:
        """The work in hand."""
        return self._draft

    def keep(self, draft: Draft) -> Draft:
        """Make this the work in hand, and write it down."""
        with self._lock:
            write_draft(self.root / DRAFT, draft)
            self._draft = draft
        return draft

    def change(self, how: Callable[[Draft], Draft]) -> Draft:
        """Change the work in hand; whoever else does waits."""
        with self._lock:
            return self.keep(how(self._draft))

    def take(self, file: Path, name: str | None = None) -> Shot:
        """Take a picture in: checked, copied, and known by its contents, so that the same is there once.

        name: as its owner calls it, where the file is called otherwise.

        Raises:
            InputError: no picture, a damaged or too large one, or a name that leads elsewhere.
        """
        called = plain_name(name or file.name)
        with self._lock:
            try:
                if file.stat().st_size > MAX_UPLOAD:
                    raise KeyframeError(
                        f"{called} is larger than {MAX_UPLOAD // 1024**2} MB: make it smaller first"
                    )
                check_image(file)
                picture = read_image(file)
            except KeyframeError as error:
                raise KeyframeError(str(error).replace(str(file), called)) from None
            height, width = picture.pixels.shape[:2]
            place = self._place(file, called)
            if not place.exists():
                with atomic_path(place) as partial:
                    shutil.copyfile(file, partial)
            view = self.view(place.name)
            if not view.exists():
                small = Image.fromarray(to_rgb8(picture.pixels))
                small.thumbnail((VIEW, VIEW), Image.Resampling.LANCZOS)
                with atomic_path(view) as partial:
                    small.save(partial, "JPEG", quality=88)
        return Shot(place.name, (width, height))

    def view(self, name: str) -> Path:
        """What the browser shows of a picture."""
        return self.views / f"{name}.jpg"

    def films(self) -> list[Film]:
        """All films, the newest first."""
        folders = sorted((path for path in self._films.iterdir() if (path / DRAFT).is_file()), reverse=True)
        return [self.film(path.name) for path in folders]

    def film(self, name: str) -> Film:
        """The film of a name.

        Raises:
            InputError: there is none.
        """
        folder = self._films / plain_name(name)
        if not (folder / DRAFT).is_file():
            raise InputError(f"there is no film {name} here")
        film = Film(name, folder, None)
        return Film(name, folder, finished(film.job))

    def new_film(self, draft: Draft) -> Film:
        """A folder for a film, with what it was asked for in it."""
        with self._lock:
            numbers = [int(found[1]) for path in self._films.iterdir() if (found := re.match(r"(\d+)-", path.name))]
            name = f"{max(numbers, default=0) + 1:03d}-{draft.name[:80]}"
            folder = self._films / name
            folder.mkdir()
            write_draft(folder / DRAFT, draft)
            return Film(name, folder, None)

    def forget(self, film: Film) -> None:
        """Remove the folder of a film of which nothing was made."""
        if film.job.exists() or film.file.exists():
            raise ValueError(f"{film.name} has work in it")
        shutil.rmtree(film.folder)

    def draft_of(self, film: Film) -> Draft:
        """What a film was asked for.

        Raises:
            InputError: it is damaged, or a picture is gone.
        """
        return self._checked(read_draft(film.folder / DRAFT))

    def _checked(self, draft: Draft) -> Draft:
        for shot in draft.shots:
            if not (self.pictures / shot.file).is_file():
                raise InputError(f"the picture {shot.file} is gone: bring it again")
        return draft

    def _read_draft(self) -> Draft:
        """The work in hand as it was left; a new one where there is none, or it cannot be read any more."""
        try:
            return self._checked(read_draft(self.root / DRAFT))
        except InputError:
            return Draft()

    def _place(self, file: Path, called: str) -> Path:
        """Where a picture goes: to the one that is the same, or under a name that is free."""
        digest, path = hash_of_file(file), Path(called)
        stem = re.sub(r"[^\w.() -]+", "-", path.stem).strip(" .-")[:80] or "picture"
        suffix = re.sub(r"[^\w.]+", "", path.suffix)[:12]
        for other in sorted(self.pictures.iterdir()):
            if other.is_file() and other.stat().st_size == file.stat().st_size and hash_of_file(other) == digest:
                return other
        names = (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}" for number in range(1, 10_000))
        return next(place for name in names if not (place := self.pictures / name).exists())


def read_draft(file: Path) -> Draft:
    """A draft from its file.

    Raises:
        InputError: it is not there, or no draft.
    """
    try:
        return Draft.parse(parse_json(file, read_text(file, MAX_DRAFT, "the page's work")))
    except FileNotFoundError:
        raise InputError(f"{file}: is not there") from None


def write_draft(file: Path, draft: Draft) -> None:
    """Write a draft, in one step."""
    with atomic_path(file) as partial:
        partial.write_text(json.dumps(draft.as_dict(), indent=1) + "\n", encoding="utf-8")


def write_points(folder: Path, ways: Sequence[Sequence[Pair]]) -> list[Path | None]:
    """Write what was marked on each way into a folder, for a clip; None for a way without."""
    files: list[Path | None] = []
    for number, pairs in enumerate(ways, 1):
        file = folder / f"points-{number}.json"
        if pairs:
            with atomic_path(file) as partial:
                partial.write_text(json.dumps(pairs) + "\n", encoding="utf-8")
        files.append(file if pairs else None)
    return files
