"""The clip of a recipe once more, and whether its frames are the same."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import InputError, ModelError
from morph.media.recipe import read_recipe
from morph.media.stills import check_parent
from morph.weights.locate import HUB_ID
from pipelines.job.folder import job_folder, opened, sources
from pipelines.job.job import Job
from pipelines.job.written import find_job
from pipelines.output.outputs import RECIPE
from pipelines.request.clip import Clip
from pipelines.request.costs import check_offload
from pipelines.request.recipe import choices_of, clip_from, remote
from pipelines.request.ways import needs_model

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.diffusion.offload import Offload
    from pipelines.job.render import Done
    from pipelines.tasks.progress import Bar

log = logging.getLogger("morph")


@dataclass(frozen=True)
class Moved:
    """What is elsewhere than a recipe says, and where to.

    output: None is where it was, with -rerun in its name, here. folders: of images, and of files of points. model:
    a folder or a hub id. files: those that settings name, by their keys. hub: models may be fetched from the hub.
    """

    output: Path | None = None
    folders: Sequence[Path] = ()
    model: str | None = None
    codec: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    hub: bool = False


@dataclass(frozen=True)
class Rerun:
    """A clip rendered once more. same: its frames are, bit for bit."""

    output: Path
    same: bool
    done: Done

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"output": str(self.output), "same": self.same, **self.done.as_dict()}


def rerun(
    file: str | Path,
    moved: Moved,
    job: Path | None,
    change: bool,
    device: str,
    dtype: str,
    bar: Bar,
    overwrite: bool = False,
    offload: Offload = "none",
) -> Rerun:
    """Render what a file's recipe says once more, and tell whether the frames are the same, and else why not.

    job: where work is kept; None is beside the output. change: go on with a job that was broken off under other
    settings. device, dtype: "auto" are those of the recipe. offload: what of the model waits on the CPU. overwrite:
    finished work of something else may be replaced.

    Raises:
        ExistsError: there is some, and ``overwrite`` is not set.
        InputError: there is no recipe, an image of it is nowhere, or the output cannot be written.
        ModelError: the weights are others, or of a hub that may not be asked.
    """
    recipe = read_recipe(Path(file))
    clip = _clip(file, recipe, moved)
    folder = job or job_folder(clip.output)
    check_offload(clip, offload)
    planned_job = Job.of(clip, folder, overwrite=overwrite)
    if job:
        check_parent(job)
    device = recipe["device"] if device == "auto" else device
    dtype = recipe["dtype"] if dtype == "auto" else dtype
    with opened(folder, clip, change):
        from pipelines.job.render import carry_out
        from pipelines.tasks.models import Models, quiet_libraries

        quiet_libraries()
        _use_threads(recipe.get("threads"))
        models = Models.of(clip, device, dtype, offload)
        if models.weights != recipe.get("weights"):
            raise ModelError(f"{clip.model} has other weights than those that made {file}: name these by --model")
        done = carry_out(planned_job, models, device, dtype, bar, choices_of(recipe))
        from pipelines.tasks.frames import DIGEST
    recipe_now = done.produced.recipe
    same = recipe_now["frames"] == recipe["frames"]
    if not recipe["frames"].startswith(DIGEST):
        log.warning("%s is of an older version: whether the frames are the same as its cannot be told", file)
    elif same:
        log.warning("the same %d frames as those of %s, bit for bit", clip.length, file)
    else:
        known = differences(recipe, recipe_now)
        log.warning("not the same frames as those of %s, bit for bit; %s", file, known)
    return Rerun(clip.output, same, done)


def _clip(file: str | Path, recipe: Mapping[str, Any], moved: Moved) -> Clip:
    """The clip of a recipe, with what has moved where it is now."""
    path = Path(file)
    known = _recorded(path.with_suffix("") if path.suffix == RECIPE else path)
    folders = [path.parent, *moved.folders]
    clip = clip_from(recipe, moved.output, folders, moved.codec, moved.files, path, known)
    clip = replace(clip, model=moved.model) if moved.model else clip
    found = clip.model == "embedded" or os.path.isdir(clip.model) or HUB_ID.fullmatch(clip.model)
    if needs_model(clip) and not found:
        raise ModelError(f"{file} was made with a model in a folder called {clip.model}: name it by --model")
    if (ids := [hub_id for hub_id in remote(clip) if hub_id != moved.model]) and not moved.hub:
        raise ModelError(f"{file} was made with {', '.join(ids)} of a model hub: add --hub to fetch them")
    return clip


def _recorded(output: Path) -> list[Path]:
    """Where the files were of which the job made an output; none without a job."""
    try:
        return sources(find_job(output))
    except InputError:
        return []


def _use_threads(count: int | None) -> None:
    """Sums are rounded in the order in which threads share them."""
    import torch

    if count:
        torch.set_num_threads(count)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is known to differ between two recipes' facts, as a line for people; it need not be the cause."""
    keys = ("morph", "torch", "device", "dtype", "threads", "embeddings")
    changes = [
        f"{key} was {before.get(key)} and is {now.get(key)}" for key in keys if before.get(key) != now.get(key)
    ]
    if changes:
        return f"what is known to differ: {', '.join(changes)}"
    return "versions, device and threads are the same: the cause is not known, it may be another processor"
