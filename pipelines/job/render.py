"""One clip from what was asked to its files: checked and planned before anything is loaded, then carried out."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.diffusion.geometry import Geometry
from morph.media.keyframe import read_image
from morph.weights.locate import locate
from pipelines.job import speed
from pipelines.job.checks import check_files
from pipelines.job.folder import check_job
from pipelines.output.outputs import outputs_of
from pipelines.request.clip import Clip
from pipelines.request.plan import NO_MODEL, Sizes, costs, disk_bytes, needs_model, sizes_of, ways
from pipelines.request.points import marked
from pipelines.request.settings import keys

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from PIL.Image import Image

    from pipelines.between.keyframes import Progress
    from pipelines.between.ranking import Chooser
    from pipelines.job.produce import Produced
    from pipelines.tasks.models import Models

SPEED_FROM = 100
"""U-Net forward equivalents below which a render says nothing about the machine's speed."""
log = logging.getLogger("morph")


@dataclass(frozen=True)
class Planned:
    """A clip that can be rendered in ``folder``, and what it takes; ``frames_dir`` gets its frames as well."""

    clip: Clip
    folder: Path
    frames_dir: Path | None
    sizes: Sizes
    forwards: int
    disk: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        clip = self.clip
        return {
            "output": str(clip.output),
            "job": str(self.folder),
            "frames": clip.length,
            "fps": str(clip.settings.fps),
            "seconds_of_video": float(clip.length / clip.settings.fps),
            "size": list(self.sizes.frame),
            "model_size": list(self.sizes.model),
            "model": clip.model if needs_model(clip) else None,
            "settings": keys(clip.settings),
            "unet_forwards": self.forwards,
            "disk_bytes": self.disk,
        }

    def told(self, seconds: float | None) -> str:
        """A line for people; ``seconds`` is how long it takes, if that is known."""
        clip = self.clip
        size, inside = (f"{width}x{height}" for width, height in (self.sizes.frame, self.sizes.model))
        takes = (
            f"about {seconds:.0f} s here" if seconds else "how long is not known here: add --calibrate to measure"
        )
        work = f"{self.forwards} U-Net forwards of model {clip.model} at {inside}, {takes}"
        return (
            f"{clip.output}: {clip.length} frames of {size} at {clip.settings.fps} fps, "
            f"{float(clip.length / clip.settings.fps):.2f} s; {work if needs_model(clip) else NO_MODEL}; "
            f"up to {self.disk / 1e6:.0f} MB in {self.folder}"
        )


def planned(clip: Clip, folder: Path, frames_dir: Path | None = None, fetch: bool = True) -> Planned:
    """Refuse what cannot be read or written before any weights are loaded; warns where the disk has no room.

    fetch: a model of the hub is fetched if it is not here; else its configs alone, and what outputs lose is said.

    Raises:
        MorphError: something in the clip cannot be used.
    """
    check_job(folder)
    transparent, shapes = [], []
    for keyframe in clip.keyframes:
        image = read_image(keyframe.image)
        transparent.append(image.alpha is not None)
        height, width = image.pixels.shape[:2]
        shapes.append((width, height))
    model, _ = locate(clip.model, fetch=fetch and needs_model(clip))  # its configs say of sizes
    sizes = sizes_of(clip.settings, Geometry.from_folder(model), shapes[0])
    for number in range(len(ways(clip))):
        marked(clip, number, sizes.frame, shapes.__getitem__)
    outputs = outputs_of(clip, sizes.frame, all(transparent), frames_dir)
    check_files(clip, outputs, folder)
    for output in outputs:
        if not fetch:  # a plan; a render says it by itself
            output.tell(all(transparent))
    disk = disk_bytes(clip, sizes)
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if disk > free:
        room = f"{folder} may need {disk / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
        log.warning("%s: no space left may stop this", room)
    return Planned(clip, folder, frames_dir, sizes, sum(costs(clip).values()), disk)


def seconds_of(plan: Planned, device: str, dtype: str, models: Models | None = None) -> float | None:
    """How long the render will take, by past renders, or by a few steps of ``models``.

    None where this machine was never measured, or where no model is needed.
    """
    clip, size = plan.clip, plan.sizes.model
    if not needs_model(clip):
        return None
    each = (
        speed.calibrate(models, size, clip.settings.batch)
        if models
        else speed.seconds_per_forward(_machine(clip, device, dtype), size)
    )
    return None if each is None else each * plan.forwards


def carry_out(
    plan: Planned,
    models: Models,
    device: str,
    dtype: str,
    progress: Progress,
    choose: Chooser | None = None,
    embeddings: Path | None = None,
) -> tuple[Produced, dict[str, int]]:
    """Render a clip and write it; what became of it, and the U-Net forward equivalents that each stage took.

    choose: picks among candidates. embeddings: a file of fitted texts, read if it is there. device, dtype: as they
    were asked for; the machine's speed is kept by them.
    """
    from pipelines.job.produce import produce
    from pipelines.tasks.work import in_process, work_of

    spent = dict.fromkeys(costs(plan.clip), 0)

    def counted(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
        spent[stage] = spent.get(stage, 0) + cost
        progress(stage, cost, preview)

    work = work_of(models, plan.clip, plan.folder, counted, choose, embeddings)
    began = time.monotonic()
    produced = produce(plan.clip, in_process(work), plan.folder, plan.frames_dir)
    if (forwards := sum(spent.values())) >= SPEED_FROM:
        speed.remember(_machine(plan.clip, device, dtype), plan.sizes.model, (time.monotonic() - began) / forwards)
    return produced, spent


def _machine(clip: Clip, device: str, dtype: str) -> str:
    return f"{clip.model} on {device} in {dtype}"
