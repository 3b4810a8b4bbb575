"""What a finished job remembers of its clip, in one JSON file, so that it can be looked at later."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from morph.errors import InputError
from morph.media.stills import atomic_path
from morph.pacing import Evenness
from morph.text import parse_json, read_text
from pipelines.between.rendered_way import MATCHES, Choice, Curve
from pipelines.job.folder import finished
from pipelines.job.timings import Run, Stage, read_runs
from pipelines.request.clip import Clip
from pipelines.tasks.frames import Rendered, StoredFrame

RESULT = "result.json"
MAX_RESULT = 512 * 1024**2
"""Bytes of it."""


@dataclass(frozen=True)
class Paced:
    """A segment before and after pacing: all positions that were measured, and those that are shown.

    match: the picture of what was found between its keyframes, a file in the job's ``MATCHES``, if there is one.
    """

    measured: Curve
    shown: Curve
    match: str | None = None


@dataclass(frozen=True)
class Result:
    """A finished clip.

    output: absolute. size: (width, height). frames: all that are shown, in their order. choices: of the anchors
    that had several candidates, by their position on the clip. runs: all of the job, whatever it was asked for.
    """

    output: str
    size: tuple[int, int]
    frames: list[StoredFrame]
    evenness: Evenness
    segments: list[Paced]
    choices: dict[float, Choice]
    runs: list[Run]
    recipe: dict[str, Any]

    @classmethod
    def of(cls, clip: Clip, rendered: Rendered, recipe: dict[str, Any], folder: Path) -> Self:
        """What became of a clip whose job is in ``folder``."""
        matches = [f"{number}.png" for number in range(len(rendered.ways))]
        segments = [
            Paced(
                way.measured,
                Curve(way.alphas, way.gaps, way.measured.power),
                name if (folder / MATCHES / name).is_file() else None,
            )
            for way, name in zip(rendered.ways, matches, strict=True)
        ]
        return cls(
            output=str(clip.output.absolute()),
            size=rendered.size,
            frames=rendered.stills,
            evenness=rendered.evenness,
            segments=segments,
            choices=rendered.choices,
            runs=read_runs(folder),
            recipe=recipe,
        )

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Self:
        """The same from what JSON made of it; whatever is missing or odd is a KeyError, TypeError or ValueError."""
        width, height = content["size"]
        _check(content)
        return cls(
            output=content["output"],
            size=(int(width), int(height)),
            frames=[StoredFrame(**frame) for frame in content["frames"]],
            evenness=Evenness(**content["evenness"]),
            segments=[
                Paced(Curve(**segment["measured"]), Curve(**segment["shown"]), segment.get("match"))
                for segment in content["segments"]
            ],
            choices={float(alpha): Choice(**choice) for alpha, choice in content["choices"].items()},
            runs=[Run(run["started"], [Stage(**stage) for stage in run["stages"]]) for run in content["runs"]],
            recipe=content["recipe"],
        )

    def keyframe_numbers(self) -> Sequence[int | None]:
        """The number of the first frame that each keyframe is, counted from 0; None for one that is not shown."""
        ways = len(self.segments)
        first: dict[float, int] = {}
        for number, still in enumerate(self.frames):
            first.setdefault(still.alpha, number)
        return [first.get(keyframe / ways) for keyframe in range(len(self.recipe["keyframes"]))]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _check(content: dict[str, Any]) -> None:
    """Refuse what has the right names and other kinds of values than ``Result``; a TypeError."""
    frames, segments, recipe = content["frames"], content["segments"], content["recipe"]
    curves = [segment[name] for segment in segments for name in ("measured", "shown")]
    lists = [curve[name] for curve in curves for name in ("alphas", "gaps")]
    lists += [choice["scores"] for choice in content["choices"].values()]
    texts = [content["output"], *(frame["reel"] for frame in frames)]
    texts += [match for segment in segments if (match := segment.get("match")) is not None]
    texts += [choice["sheet"] for choice in content["choices"].values()]
    powers = [curve.get("power", 2.0) for curve in curves]  # results of before have none
    numbers = [*powers, *(frame[name] for frame in frames for name in ("at", "alpha", "distance"))]
    numbers += [*content["evenness"].values(), *(number for listed in lists for number in listed)]
    numbers += [choice["number"] for choice in content["choices"].values()]
    for run in content["runs"]:
        texts += [run["started"], *(stage["name"] for stage in run["stages"])]
        numbers += [stage["seconds"] for stage in run["stages"]]
    right = all(type(text) is str for text in texts) and all(map(_is_number, numbers))
    right = right and all(1 <= power <= 2 for power in powers)
    if not right or not isinstance(recipe, dict) or not isinstance(recipe["keyframes"], list) or not segments:
        raise TypeError("a value of another kind")


def save_result(folder: Path, result: Result) -> None:
    """Write a clip's result into its job's folder, in one step."""
    with atomic_path(folder / RESULT) as partial:
        partial.write_text(json.dumps(asdict(result)) + "\n")


def load_result(folder: Path) -> Result:
    """The result of a finished job.

    Raises:
        InputError: no job, one that is not finished, or one whose result is missing or damaged.
    """
    is_finished = finished(folder)
    if is_finished is None:
        raise InputError(f"{folder}: is no job; name the OUT.job of a render, or its OUT")
    if not is_finished:
        raise InputError(f"{folder}: this job is not finished; give its render's command again first")
    try:
        text = read_text(folder / RESULT, MAX_RESULT, "a job's result")
        return Result.parse(parse_json(folder / RESULT, text))
    except FileNotFoundError:
        reason = f"{folder / RESULT}: is not there"
    except InputError as error:
        reason = str(error)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        reason = f"{folder / RESULT}: is damaged"
    raise InputError(f"{reason}; give the same render's command again, which makes nothing anew")
