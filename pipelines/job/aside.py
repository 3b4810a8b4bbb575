"""What a person adds to a render: choices among candidates, and a file of fitted texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import SettingsError
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
        if self.choose and self.choose.is_file():
            raise SettingsError(f"--choose {self.choose} is a file; name a folder")
