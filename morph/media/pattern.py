"""Names of numbered stills, ``name.%04d.png``, and which paths mean stills at all."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from morph.errors import SettingsError

SUFFIXES = (".png", ".tif", ".tiff", ".exr")
"""Kinds of numbered stills, in lower case."""

_FIELD = re.compile(r"%(?:0([1-9]))?d")
_HASHES = re.compile(r"#+")


@dataclass(frozen=True)
class StillPattern:
    """Stills in ``folder`` called ``before``, a number of at least ``digits`` digits, ``after``.

    By itself a folder means ``frame.%04d.png`` in it.
    """

    folder: Path
    before: str = "frame."
    digits: int = 4
    after: str = ".png"

    @classmethod
    def parse(cls, path: str | Path, suffixes: tuple[str, ...] = SUFFIXES) -> StillPattern:
        """Return the pattern that ``path`` means: ``folder/name.%04d.png``, ``####`` or ``%d``, or a folder.

        Only the file's name has a number; a percent sign elsewhere is itself, and so is ``#`` beside a
        ``%04d``. What has none of the suffixes is a folder.

        Raises:
            SettingsError: a still's name with no number in it, or with several.
        """
        if not _is_still(path, suffixes):
            return cls(Path(path))
        path = Path(path)
        fields = _fields(path.name)
        if not fields:
            raise SettingsError(f"{path}: every frame would have this name: write {path.stem}.%04d{path.suffix}")
        if len(fields) > 1:
            raise SettingsError(f"{path}: {len(fields)} places for the number, as in {fields[1][0]}: keep one")
        (field,) = fields
        digits = len(field[0]) if field[0][0] == "#" else int(field[1] or 1)
        return cls(path.parent, path.name[: field.start()], digits, path.name[field.end() :])

    @staticmethod
    def has_field(name: str) -> bool:
        """Whether a file's name has a place for the number."""
        return bool(_fields(name))

    @property
    def suffix(self) -> str:
        """One of the SUFFIXES."""
        return self.path(0).suffix.lower()

    def path(self, number: int) -> Path:
        """The file of frame ``number``, which is not negative."""
        return self.folder / f"{self.before}{number:0{self.digits}d}{self.after}"

    def number(self, name: str) -> int | None:
        """The number in a file's ``name``; None if it is not one of these frames."""
        middle = name[len(self.before) : len(name) - len(self.after)]
        if not re.fullmatch(rf"\d{{{self.digits}}}|[1-9]\d{{{self.digits},}}", middle, re.ASCII):
            return None
        return int(middle) if name == f"{self.before}{middle}{self.after}" else None

    def __str__(self) -> str:
        field = "%d" if self.digits == 1 else f"%0{self.digits}d"
        return str(self.folder / f"{self.before}{field}{self.after}")


def is_folder(path: str | Path) -> bool:
    """Tell whether ``path`` means a folder of PNGs: no suffix, a slash at the end, or a folder already."""
    return _ends_in_slash(path) or not Path(path).suffix or os.path.isdir(path)


def is_stills(path: str | Path) -> bool:
    """Tell whether ``path`` means numbered stills: a folder of them, or a name that ends as stills do.

    ``StillPattern.parse`` says what is wrong where such a name has no place for the number.
    """
    return is_folder(path) or _is_still(path)


def _fields(name: str) -> list[re.Match[str]]:
    return list(_FIELD.finditer(name)) or list(_HASHES.finditer(name))


def _is_still(path: str | Path, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    named = Path(path).suffix.lower() in suffixes
    return named and not _ends_in_slash(path) and not os.path.isdir(path)


def _ends_in_slash(path: str | Path) -> bool:
    return os.fspath(path).endswith(("/", os.sep))
