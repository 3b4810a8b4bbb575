"""What all parts of a clip's work share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.between.keyframes import Progress
from pipelines.request.plan import Plan
from pipelines.tasks.edits import Edits
from pipelines.tasks.memory import Batches
from pipelines.tasks.models import Models
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.store import FITS, Store


@dataclass(frozen=True, eq=False)
class Workbench:
    """A planned clip, loaded models, the job's folder, and who is told of progress."""

    models: Models
    plan: Plan
    folder: Path
    progress: Progress

    @cached_property
    def pictures(self) -> Pictures:
        """The clip's images as tensors."""
        return Pictures(self.plan, Edits(self.models, self.plan, self.folder, self.progress).edited)

    @cached_property
    def store(self) -> Store:
        """Where tensors are kept."""
        return Store(self.folder / FITS)

    @property
    def tiled(self) -> bool:
        """Whether what was painted here had to be coded in tiles, since memory had run out."""
        return "batches" in vars(self) and self.models.model.tiled

    @cached_property
    def batches(self) -> Batches:
        """Batches of the model's work that fit into memory; a ValueError where there is no model."""
        return Batches(self.models.model, self.plan.clip.settings.batch)
