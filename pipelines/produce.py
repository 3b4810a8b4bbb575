"""From a clip to its finished file: the tasks, then the encode, with the recipe of how it was made."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from morph.media.stills import FrameFolder
from morph.media.video import open_writer
from morph.pacing import Evenness
from pipelines.clip import Clip
from pipelines.job import wrote
from pipelines.result import Result, save_result
from pipelines.sequence import Tasks, render_clip
from pipelines.settings import keys
from pipelines.timings import Stopwatch


@dataclass(frozen=True)
class Produced:
    """What became of a clip: positions and LPIPS of its frames, how even they are, and the recipe."""

    alphas: list[float]
    distances: list[float]
    evenness: Evenness
    round_trips: list[float]
    recipe: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        trips = [round(decibels, 2) for decibels in self.round_trips]
        return {
            "alphas": self.alphas,
            "distances": self.distances,
            **asdict(self.evenness),
            "round_trip_db": trips,
            "recipe": self.recipe,
        }

    def __str__(self) -> str:
        even, trips = self.evenness, self.round_trips
        return (
            f"{len(self.alphas)} frames; neighbours {even.mean_gap:.4f} LPIPS apart on average, "
            f"the largest gap {even.max_mean_gap:.2f} times that, PDV {even.pdv:.2e}"
            + (f"; latents came back at {min(trips):.2f} dB or more" if trips else "")
        )


def produce(clip: Clip, tasks: Tasks, folder: Path, frames_dir: Path | None = None) -> Produced:
    """Render a clip and write its output, and its frames to ``frames_dir`` as well; what is kept is not made again.

    Raises:
        MorphError: something in the clip cannot be used, or a disk refused.
    """
    watch = Stopwatch(folder)
    tasks = watch.timed(tasks)
    (facts,) = tasks("facts", [()])
    rendered = render_clip(clip, tasks, folder)
    first = next(iter(rendered)).pixels
    size = (first.shape[1], first.shape[0])
    choices = {alpha: choice.number for alpha, choice in rendered.choices.items()}
    recipe = {**facts, **_recipe(clip), "choices": choices, "embeddings": rendered.embeddings}
    comment = json.dumps(recipe)
    with ExitStack() as files:
        files.enter_context(watch.stage("encode"))
        replace = wrote(folder, clip.output)
        output = open_writer(clip.output, size, clip.settings.fps, comment, replace=replace)
        writers = [files.enter_context(output)]
        if frames_dir:
            stills = FrameFolder(frames_dir, comment=comment, replace=wrote(folder, frames_dir))
            writers.append(files.enter_context(stills))
        for frame in rendered:
            for writer in writers:
                writer.write(frame.pixels)
    save_result(folder, Result.of(clip, rendered, size, recipe, folder))
    alphas = [still.alpha for still in rendered.stills]
    distances = [still.distance for still in rendered.stills]
    return Produced(alphas, distances, rendered.evenness, rendered.round_trips, recipe)


def _recipe(clip: Clip) -> dict[str, Any]:
    """What was asked for, ready for JSON; a keyframe has what it has of its own."""
    common = keys(clip.settings)
    keyframes = []
    for keyframe in clip.keyframes:
        own = {key: value for key, value in keys(keyframe.settings).items() if value != common[key]}
        entry: dict[str, Any] = {"image": str(keyframe.image), "prompt": keyframe.prompt}
        entry |= {"at": keyframe.at} if keyframe.at is not None else {}
        entry |= {"hold": keyframe.hold} if keyframe.hold else {}
        keyframes.append(entry | ({"settings": own} if own else {}))
    return {"keyframes": keyframes, "settings": common}
