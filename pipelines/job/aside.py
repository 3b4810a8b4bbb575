"""What a person adds to a render: choices among candidates, and a file of fitted texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import InputError, SettingsError
from morph.media.stills import check_parent
from pipelines.request.clip import Clip
from pipelines.request.ways import leaves_choice, needs_model


@dataclass(frozen=True)
class Aside:
    """choose: the folder in which a person picks anchors. embeddings: a file, read if it is there, else written."""

    choose: Path | None = None
    embeddings: Path | None = None

    def check(self, clip: Clip) -> None:
        """Refuse what would do nothing for a clip, or cannot be written.

        Raises:
            InputError: with what to do.
        """
        if self.choose and not leaves_choice(clip):
            raise SettingsError("--choose finds no choice: set anchors.depth and anchors.candidates above 1")
        if self.embeddings and not (clip.settings.textual_inversion.steps and needs_model(clip)):
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
