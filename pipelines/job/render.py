"""One job carried out in this process, to its files."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.between.ranking import Chooser
from pipelines.job import speed
from pipelines.job.job import Job
from pipelines.job.produce import Produced, produce
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.progress import Bar, Meter
from pipelines.tasks.task import in_process

SPEED_FROM = 100
"""U-Net forward equivalents below which a render says nothing about the machine's speed."""
log = logging.getLogger("morph")


@dataclass(frozen=True)
class Done:
    """What became of a job, and the U-Net forward equivalents that each stage took."""

    produced: Produced
    spent: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.produced.as_dict(), "unet_forwards": sum(self.spent.values()), "spent": self.spent}


def carry_out(
    job: Job,
    models: Models,
    device: str,
    dtype: str,
    bar: Bar,
    choose: Chooser | None = None,
    embeddings: Path | None = None,
) -> Done:
    """Render a clip and write it, and say what with and how even it is.

    choose: picks among candidates. embeddings: a file of fitted texts, read if it is there. device, dtype: as they
    were asked for; the machine's speed is kept by them.

    Raises:
        MorphError: something in the clip cannot be used, or a disk refused.
    """
    plan = job.plan
    log.warning("%s", models.said)
    began = time.monotonic()
    with bar(plan.forwards) as callback:
        meter = Meter(plan.forwards, callback)
        produced = produce(job, in_process(maker_of(models, plan, job.folder, meter, choose, embeddings)))
    if (forwards := sum(meter.spent.values())) >= SPEED_FROM:
        took = time.monotonic() - began
        machine = speed.machine_of(plan.clip, device, dtype, models.offload)
        speed.remember(machine, plan.sizes.model, took / forwards)
    log.warning("%s", produced)
    log.info("%s", produced.figures)
    return Done(produced, meter.spent)
