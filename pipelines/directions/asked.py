"""Which directions are asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morph.errors import SettingsError
from morph.media.recipe import published
from pipelines.directions.methods import Method
from pipelines.directions.spaces import SpaceAsked
from pipelines.request.options.values import keys

MOST_PICTURES = 10_000


@dataclass(frozen=True)
class FitAsked:
    """Which directions are asked for.

    count: of directions, of ways that find several. samples: places that it starts from; None leaves it to the
    method. data: a folder of pictures that these are, in place of what the model makes of noise. texts: what
    scores are toward, and away from. folders: pictures that have something, and that lack it. mask: a picture
    that is white where pictures may change. apart: directions of other files that these are to have nothing of,
    FILE:NUMBER.
    """

    method: Method
    space: SpaceAsked
    count: int = 8
    samples: int | None = None
    seed: int = 0
    data: Path | None = None
    texts: tuple[str, str] | None = None
    folders: tuple[Path, Path] | None = None
    mask: Path | None = None
    apart: tuple[str, ...] = ()
    clip: str = "embedded"

    def __post_init__(self) -> None:
        """Refuse what is missing or of no use; a SettingsError says which."""
        name, needs = self.method.name, self.method.needs
        scored = bool(self.texts) + bool(self.folders)
        if "score" in needs and scored != 1:
            raise SettingsError(f"{name} goes by a score: give --toward and --away, or --having and --lacking")
        if "score" not in needs and scored:
            raise SettingsError(f"{name} goes by no score: leave out --toward and --away, --having and --lacking")
        if self.texts and self.texts[0] == self.texts[1]:
            raise SettingsError(
                "--toward and --away say the same, which no score tells apart: give two that differ"
            )
        if ("mask" in needs) != bool(self.mask):
            raise SettingsError(f"{name} {'needs a mask: give --mask' if 'mask' in needs else 'takes no --mask'}")
        if not 1 <= self.count <= 512:
            raise SettingsError(f"count is {self.count}; it must be from 1 to 512")
        if self.samples is not None and not 2 <= self.samples <= MOST_PICTURES:
            raise SettingsError(f"samples is {self.samples}; it must be from 2 to {MOST_PICTURES}")

    def as_dict(self) -> dict[str, Any]:
        """What was asked for, JSON-ready; folders and files by their names."""
        values = {
            "method": self.method.name,
            **keys(self.method),
            "space": self.space.kind,
            **keys(self.space.options),
            "file": self.space.file,
            "model": published(self.space.model),
            **{name: getattr(self, name) for name in ("count", "samples", "seed", "data", "texts", "folders")},
            **{name: getattr(self, name) for name in ("mask", "apart", "clip")},
        }
        plain = json.dumps(
            {key: value for key, value in values.items() if value not in (None, ())}, default=published
        )
        made: dict[str, Any] = json.loads(plain)
        return made
