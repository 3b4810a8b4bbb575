"""What became of one clip of a batch, and how it comes to that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from morph.errors import MorphError
from pipelines.batch.paths import job_of
from pipelines.batch.where import RunnerOf, Where
from pipelines.job.folder import opened
from pipelines.job.job import Job
from pipelines.job.produce import produce
from pipelines.request.clip import Clip
from pipelines.request.costs import check_offload


@dataclass(frozen=True)
class Outcome:
    """What became of one clip of a batch; ``error`` is one line, empty if it is done."""

    name: str
    output: str
    frames: int
    seconds: float
    max_mean_gap: float | None = None
    error: str = ""


def outcome_of(clip: Clip, folder: Path, where: Where, runner_of: RunnerOf) -> Outcome:
    """Render one clip; an error becomes a line of the report."""
    started = time.monotonic()
    error, frames, gap = "", 0, None
    clip_folder = job_of(clip, folder)
    try:
        with opened(clip_folder, clip, where.change):
            check_offload(clip, where.offload)
            job = Job.of(clip, clip_folder, overwrite=where.overwrite)
            produced = produce(job, runner_of(job.plan, clip_folder, where))
        frames, gap = len(produced.rendered), round(produced.evenness.max_mean_gap, 4)
    except Exception as failure:  # whatever it is, the other clips go on
        kind = "" if isinstance(failure, MorphError) else f"{type(failure).__name__}: "
        error = " ".join(f"{kind}{failure}".split())
    seconds = round(time.monotonic() - started, 2)
    return Outcome(clip.name, str(clip.output), frames, seconds, gap, error)
