"""What a person adds to a render: choices among candidates, and a file of fitted texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import InputError, SettingsError
from morph.media.stills import check_parent
from morph.text import parse_json, read_text
from pipelines.request.clip import Clip
from pipelines.request.ways import is_painted, ways

CHOICES = "choices.json"
"""In the folder of ``choose``: the number of the candidate taken for each anchor, by its position in the clip."""
MAX_CHOICES = 1_000_000
"""Bytes of it."""


@dataclass(frozen=True)
class Aside:
    """choose: the folder in which a person picks anchors. embeddings: a file, read if it is there, else written."""

    choose: Path | None = None
    embeddings: Path | None = None

    def check(self, clip: Clip) -> None:
        """Refuse what would do nothing for a clip, or cannot be read or written.

        Raises:
            InputError: with what to do.
        """
        counts = candidates(clip)
        if self.choose and not counts:
            raise SettingsError("--choose finds no choice: set anchors.depth and anchors.candidates above 1")
        if self.embeddings and not (clip.settings.textual_inversion.steps and is_painted(clip)):
            raise SettingsError("--embeddings finds nothing to keep: set textual_inversion.steps above 0")
        for path in (self.choose, self.embeddings):
            if path:
                check_parent(path)
        if self.embeddings and self.embeddings.is_dir():
            raise SettingsError(f"--embeddings {self.embeddings} is a folder; name a file")
        if self.embeddings and self.embeddings.exists():
            _check_embeddings(self.embeddings)
        if self.choose and self.choose.is_file():
            raise SettingsError(f"--choose {self.choose} is a file; name a folder")
        if self.choose:
            for key, choice in read_choices(self.choose).items():
                if count := counts.get(key):
                    check_choice(self.choose, key, choice, count)


def candidates(clip: Clip) -> dict[str, int]:
    """How many there are of each anchor of which there is a choice, by its position in the clip."""
    all_ways = ways(clip)
    return {
        str((way.number + place.alpha) / len(all_ways)): level.candidates
        for way in all_ways
        for level in way.anchors
        if level.candidates > 1
        for place in level.places
    }


def read_choices(folder: Path) -> dict[str, object]:
    """What was chosen already, by the position in the clip; empty where nothing was. See :func:`check_choice`.

    Raises:
        SettingsError: the file is no JSON object.
    """
    file = folder / CHOICES
    try:
        text = read_text(file, MAX_CHOICES, "the choices of a render", SettingsError)
    except FileNotFoundError:
        return {}
    choices = parse_json(file, text, SettingsError)
    if not isinstance(choices, dict):
        raise SettingsError(f'{file} must map positions to numbers, such as {{"0.5": 3}}')
    return choices


def check_choice(folder: Path, key: str, choice: object, count: int) -> int:
    """The number that was chosen of so many candidates.

    Raises:
        SettingsError: it is none.
    """
    if type(choice) is not int or not 1 <= choice <= count:
        raise SettingsError(f"{folder / CHOICES}: {choice!r} for {key} is not a number from 1 to {count}")
    return choice


def _check_embeddings(path: Path) -> None:
    """Refuse another kind of file; whether they were fitted to these images is seen when the model is loaded."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            names = set(file.keys())
    except (OSError, SafetensorError):
        names = set()
    if not {"conditions", "negative"} <= names:
        raise InputError(f"--embeddings {path} holds no fitted embeddings: name another file, or one that is new")
