"""What is kept in a job's folder, and what tells how a film was made."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from morph.blending.warp import Warp
from morph.media.recipe import read_recipe
from morph.pacing import Evenness
from pipelines.between.rendered_way import Choice, Curve
from pipelines.job import folder as job
from pipelines.job.result import RESULT, Paced, Result, load_result
from pipelines.job.timings import RUNS, Run, Stage, read_runs
from pipelines.job.written import claim, has_written, settle, written_numbers
from pipelines.request.clip import Clip, clip_of
from pipelines.request.edits.edit import Edit
from pipelines.request.recipe import choices_of, clip_from, recipe_of, remote
from pipelines.request.settings import Settings, changed
from pipelines.tasks.frames import StoredFrame
from pipelines.tasks.store import RECORD, Reel, Store
from tests.conftest import SAMPLES
from tests.fuzz.mutate import header, json_values

IMAGES = SAMPLES
POSITIONS = (0.0, 0.25, 0.5)


@cache
def clip() -> Clip:
    """Two images with prompts and times, one of them edited."""
    settings = changed(Settings(), {"fps": "24000/1001", "seed": 7, "align.on": True})
    images = [IMAGES / "cat.jpg", IMAGES / "raccoon.jpg"]
    made = clip_of(images, ["a cat", 'a "b"; #1'], settings, "a.mp4", ["0f", "30f"])
    edit = Edit.of({"how": "sdedit", "prompt": "a dog", "mask": IMAGES / "coffee.jpg", "strength": 0.7})
    return replace(made, keyframes=(made.keyframes[0], replace(made.keyframes[1], edits=(edit,))))


def recipe() -> dict[str, Any]:
    """Its recipe, as a file has it."""
    facts = {"morph": "0.1.0", "device": "cpu", "dtype": "float32", "frames": "each:0", "threads": 1}
    return {**recipe_of(clip()), **facts, "choices": {"0.5": 2}}


def read_job(folder: Path) -> None:
    job.finished(folder)
    has_written(folder, clip().output)
    assert isinstance(written_numbers(folder, clip().output), range)
    assert all(isinstance(path, Path) for path in job.sources(folder))
    job.remove_unfinished(folder, [folder])
    with job.opened(folder, clip()):
        claim(folder, {clip().output: range(3)})
        settle(folder, [clip().output])
        job.mark(folder, [folder])


def job_seeds() -> list[bytes]:
    with TemporaryDirectory() as made:
        folder = Path(made) / "a.job"
        with job.opened(folder, clip()):
            claim(folder, {clip().output: range(1001, 1004)})
            job.mark(folder, [folder])
            (folder / "kept").touch()
            unfinished = (folder / job.JOB_FILE).read_bytes()
        return [unfinished, (folder / job.JOB_FILE).read_bytes()]


def read_holder(folder: Path) -> None:
    job._holder(folder)


def read_frames(folder: Path) -> None:
    reel = Reel(folder)
    reel.holds(POSITIONS)
    reel.holds_batch(POSITIONS)
    for position in POSITIONS:
        if reel.holds([position]):
            reel.frame(position)
            reel.pixels_hash(position)


@cache
def reel_files() -> dict[str, bytes]:
    with TemporaryDirectory() as made:
        frames = [np.full((4, 5, 3), shade, np.uint8) for shade in (1, 2, 3)]
        reel = Reel(Path(made))
        reel.keep(POSITIONS[:2], frames[:2])
        reel.keep(POSITIONS[2:], frames[2:])
        return {path.name: path.read_bytes() for path in Path(made).iterdir()}


def with_frames(folder: Path) -> None:
    for name, data in reel_files().items():
        (folder / name).write_bytes(data)


def _looked_at(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Warp:
    """What is read of a field is used."""
    warp = Warp.unpacked(tensors)
    warp.places(0.25, (5, 4))
    return warp


def read_fit(folder: Path) -> None:
    Store(folder).load("fit", _looked_at)


def read_rehashed(folder: Path) -> None:
    """The same where the hash was made again by whoever changed the file."""
    import safetensors
    from safetensors.torch import load_file, save_file

    from pipelines.tasks.store import _hash_of_all

    path = folder / "rehashed.safetensors"
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
        tensors = load_file(path)
        save_file(tensors, path, {**metadata, "hash": _hash_of_all(tensors, metadata)})
    except Exception:  # whatever a damaged file makes of the library: it is read as it is then
        return
    Store(folder).load("rehashed", _looked_at)


def fit_seeds() -> list[bytes]:
    import torch

    with TemporaryDirectory() as made:
        store = Store(Path(made))
        pixels = torch.arange(12, dtype=torch.float32).reshape(1, 3, 2, 2)
        many = {"pixels": pixels, "condition": pixels[0].half(), "mask": pixels > 3, "ids": pixels.long()}
        field = Warp.still((4, 3)).packed()
        sets = {"a": (field, {"before": "[0.5]"}), "b": (many, {}), "c": (field | many, {})}
        store.save(sets)
        return [path.read_bytes() for path in sorted(Path(made).iterdir())]


def read_clip(folder: Path) -> None:
    content = read_recipe(folder / "recipe.json")
    again = clip_from(content, folder / "b.mp4", [IMAGES], file=folder / "recipe.json")
    remote(again)
    choices = choices_of(content)
    if choices:
        choices(0.5)


def retimed() -> dict[str, Any]:
    return {
        "morph": "0.1.0",
        "source": "a b.mp4",
        "fps": "25",
        "to_fps": "50",
        "method": "RIFE, weights x",
        "threshold": 0.5,
    }


def read_result(folder: Path) -> None:
    result = load_result(folder)
    result.keyframe_numbers()
    json.dumps(asdict(result))


def finished(folder: Path) -> None:
    (folder / job.JOB_FILE).write_text('{"asked": {}, "finished": true}')


def result_seeds() -> list[bytes]:
    measured, shown = Curve([0, 0.25, 0.5, 1], [0.1, 0.1, 0.2]), Curve([0, 0.5, 1], [0.2, 0.2])
    result = Result(
        output="/somewhere/a.mp4",
        size=(64, 48),
        frames=[StoredFrame("reel", alpha, alpha, 0.2) for alpha in (0, 0, 0.5, 1)],
        evenness=Evenness.of([0.2, 0.2]),
        segments=[Paced(measured, shown, "0.png"), Paced(measured, shown)],
        choices={0.5: Choice(1, [0.1, 0.3], "sheet.png")},
        runs=[Run("2026-01-01T00:00:00+00:00", [Stage("fit", 1.5, kept=False, ended=True)])],
        recipe=recipe(),
    )
    return [json.dumps(asdict(result)).encode()]


def run_seeds() -> list[bytes]:
    stage = {"run": "2026-01-01T00:00:00+00:00", "name": "fit", "seconds": 1.5, "kept": False, "ended": True}
    return [b"\n".join([json.dumps(stage).encode()] * 3)]


def recorded() -> list[bytes]:
    return [reel_files()[RECORD]]


def recipe_seeds() -> list[bytes]:
    return [json.dumps(recipe()).encode(), json.dumps(retimed()).encode()]


def read_choices(folder: Path) -> None:
    from pipelines.cli.choose import Person

    Person(folder, "")


def with_work(folder: Path) -> None:
    """A job that made something, without which its folder would be removed again."""
    (folder / "kept").touch()


ROWS: tuple[tuple[Any, ...], ...] = (
    (job.JOB_FILE, read_job, job_seeds, (json_values,), with_work),
    (job.HOLDER, read_holder, lambda: [b'{"process": 1, "host": "a", "since": "b"}'], (json_values,)),
    (RECORD, read_frames, recorded, (json_values,), with_frames),
    ("fit.safetensors", read_fit, fit_seeds, (header,)),
    ("rehashed.safetensors", read_rehashed, fit_seeds, (header,)),
    ("recipe.json", read_clip, recipe_seeds, (json_values,)),
    (RESULT, read_result, result_seeds, (json_values,), finished),
    (RUNS, lambda folder: read_runs(folder), run_seeds, (json_values,)),
    ("choices.json", read_choices, lambda: [b'{"0.5": 2, "0.25": 1}'], (json_values,)),
)
