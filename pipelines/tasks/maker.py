"""Who makes a clip: with its model, of pictures or of videos, or without where it needs none."""

from __future__ import annotations

from pathlib import Path

from pipelines.between.keyframes import Progress, silent
from pipelines.between.ranking import Chooser
from pipelines.request.plan import Plan
from pipelines.request.ways import is_filmed, is_painted
from pipelines.tasks.diffusion import DiffusionMaker
from pipelines.tasks.dissolve import DissolveMaker
from pipelines.tasks.models import Models
from pipelines.tasks.task import Maker
from pipelines.tasks.video import VideoMaker
from pipelines.tasks.workbench import Workbench


def maker_of(
    models: Models,
    plan: Plan,
    folder: Path,
    progress: Progress = silent,
    choose: Chooser | None = None,
    embeddings: Path | None = None,
) -> Maker:
    """The work of a planned clip; what it makes is kept in ``folder``. See :class:`DiffusionMaker`."""
    bench = Workbench(models, plan, folder, progress)
    if is_filmed(plan.clip):
        return VideoMaker(bench)
    return DiffusionMaker(bench, choose, embeddings) if is_painted(plan.clip) else DissolveMaker(bench)
