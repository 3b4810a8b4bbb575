"""From a clip to its finished files: the tasks, then the encode, with the recipe of how it was made."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from morph.media.recipe import write_recipe
from morph.pacing import Evenness
from pipelines.job.checks import giving_way
from pipelines.job.folder import mark, remove_unfinished
from pipelines.job.job import Job
from pipelines.job.result import Result, save_result
from pipelines.job.timings import Stopwatch
from pipelines.job.written import claim, image_names, settle
from pipelines.output.cutting import parts_folder, write_cut
from pipelines.output.outputs import RECIPE, beside
from pipelines.request.recipe import recipe_of
from pipelines.tasks.frames import Rendered
from pipelines.tasks.sequence import render_to_store
from pipelines.tasks.task import FindFacts, Runner

EVEN = 1.5
"""The largest step over the mean up to which frames are called evenly spaced."""
log = logging.getLogger("morph")


@dataclass(frozen=True)
class Produced:
    """What became of a clip: its frames, where they are kept, and the recipe."""

    rendered: Rendered
    recipe: dict[str, Any]

    @property
    def evenness(self) -> Evenness:
        """How even the frames are."""
        return self.rendered.evenness

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        stills = self.rendered.stills
        trips = [round(decibels, 2) for decibels in self.rendered.round_trips]
        return {
            "alphas": [still.alpha for still in stills],
            "distances": [still.distance for still in stills],
            **asdict(self.evenness),
            "round_trip_db": trips,
            "recipe": self.recipe,
        }

    def __str__(self) -> str:
        """How even the frames are, in words."""
        even, keyframes = self.evenness, self.recipe["keyframes"]
        settings = (self.recipe["settings"], *(one.get("settings", {}) for one in keyframes))
        meant = any(one.get("ease", "none") != "none" for one in settings) or any("at" in one for one in keyframes)
        spaced = "" if meant else ", evenly spaced" if even.max_mean_gap <= EVEN else ", unevenly spaced"
        largest = f"the largest step between neighbours is {even.max_mean_gap:.1f} times the mean"
        return f"{len(self.rendered)} frames{spaced}: {largest}{', times and easing included' if meant else ''}"

    @property
    def figures(self) -> str:
        """The same in figures, how well latents came back from noise, and the ranks of LoRAs that ways decided."""
        even, trips = self.evenness, self.rendered.round_trips
        told = [f"neighbours {even.mean_gap:.4f} LPIPS apart on average, PDV {even.pdv:.2e}"]
        told += [f"latents came back at {min(trips):.2f} dB or more"] if trips else []
        if ranks := list(self.recipe.get("ranks", {}).values()):
            told.append(f"LoRAs of rank {', '.join(map(str, ranks))} by how far ways stray")
        return "; ".join(told)


def produce(job: Job, run: Runner) -> Produced:
    """Render a job's clip by tasks and write its outputs; what is kept is not made again.

    The recipe goes into the files, and beside the output.

    Raises:
        MorphError: something in the clip cannot be used, or a disk refused.
    """
    clip, folder, outputs = job.clip, job.folder, job.outputs
    watch = Stopwatch(folder)
    run = watch.timed(run)
    (facts,) = run([FindFacts()])
    job.tell()
    for notice in facts.notices:
        log.warning("%s", notice)
    rendered = render_to_store(job.plan, run, folder)
    recipe = {**facts.as_dict(), **recipe_of(clip), **_frame_facts(rendered)}
    with watch.stage("encode"):
        parts = parts_folder(clip)
        beside_output = beside(clip.output, RECIPE)
        places = [*(output.folder for output in outputs), *([parts] if parts else []), beside_output.parent]
        places += [Path(timeline).parent] if (timeline := clip.settings.encode.timeline) else []
        remove_unfinished(folder, places)
        run_mark = mark(folder, places)
        _write(job, rendered, recipe, run_mark)
        write_cut(clip, rendered, outputs, run_mark)
        settle(folder, job.written)
        write_recipe(beside_output, recipe, run_mark)
    save_result(folder, Result.of(clip, rendered, recipe, folder))
    return Produced(rendered, recipe)


def _frame_facts(rendered: Rendered) -> dict[str, Any]:
    """What a recipe says of the frames: what was chosen for them, and how to tell that they are the same."""
    choices = {alpha: choice.number for alpha, choice in rendered.choices.items()}
    ranks = {way.number: way.rank for way in rendered.ways if way.rank is not None}
    return {
        "choices": choices,
        "embeddings": rendered.embeddings,
        "tiled": any(way.tiled for way in rendered.ways),
        "frames": rendered.digest(),
    } | ({"ranks": ranks} if ranks else {})


def _write(job: Job, rendered: Rendered, recipe: dict[str, Any], run_mark: str) -> None:
    comment = json.dumps(recipe)
    with ExitStack() as files:
        writers = [
            files.enter_context(output.open(comment, giving_way(output, job.folder, job.overwrite), run_mark))
            for output in job.outputs
        ]
        claim(job.folder, job.written, image_names(job.clip))
        for frame in rendered:
            for output, writer in zip(job.outputs, writers, strict=True):
                writer.write(frame.written(output.stream.alpha))
