"""A batch from its clips to what became of them, its report kept up to date."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from morph.media.stills import check_parent, remove_temporaries
from pipelines.batch.options import Options
from pipelines.batch.report import save_report
from pipelines.job.folder import locked
from pipelines.request.clip import Clip

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from pipelines.batch.outcome import Outcome

log = logging.getLogger("morph")


def render_clips(clips: Sequence[Clip], folder: Path, options: Options) -> list[Outcome]:
    """Render clips as the options say; what became of each, in their order.

    Each is told of when it is done. A clip that fails is an outcome with an error, and stops no other.

    Raises:
        JobBusyError: another process holds ``folder``.
        InputError: the folder cannot be made.
        MorphError: Ray is not installed, or there is no cluster at that address.
    """
    check_parent(folder)
    outcomes: list[Outcome] = []
    with locked(folder):
        remove_temporaries(folder, "")  # half a report, of a run that was killed
        for outcome in _run(clips, folder, options):
            outcomes.append(outcome)
            result = f"failed: {outcome.error}" if outcome.error else f"{outcome.output}, {outcome.frames} frames"
            count = f"{len(outcomes)} of {len(clips)}"
            log.warning("%s: %s in %.0f s: %s", count, outcome.name, outcome.seconds, result)
            save_report(folder, outcomes, clips_in_all=len(clips))
    order = {clip.name: number for number, clip in enumerate(clips)}
    return sorted(outcomes, key=lambda outcome: order[outcome.name])


def _run(clips: Sequence[Clip], folder: Path, options: Options) -> Iterator[Outcome]:
    """The outcomes of clips, in the order in which they are done."""
    from pipelines.batch.run import run_here, run_ray
    from pipelines.batch.workers import run_workers

    where, workers = options.where, options.workers
    if options.ray:
        return run_ray(clips, folder, where, options.ray, workers)
    if workers > 1:
        return run_workers(clips, folder, where, workers)
    from pipelines.tasks.models import quiet_libraries

    quiet_libraries()
    return run_here(clips, folder, where)
