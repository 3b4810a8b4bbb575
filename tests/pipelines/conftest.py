"""The command line in this process, and what a quick render is told."""

import hashlib
import logging
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
import yaml

from morph.diffusion.textual_inversion import Embeddings
from morph.perception import landmarks
from morph.perception.lpips import PerceptualDistance
from pipelines.between.finishing import End, finished
from pipelines.between.infill import Infill
from pipelines.between.keyframes import capture_keyframe, fit_embeddings, fit_keyframes, invert_keyframes, silent
from pipelines.cli import main
from pipelines.request.clip import clip_of
from pipelines.request.plan import Plan
from pipelines.request.settings import Settings, changed
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.sequence import render_to_store
from pipelines.tasks.task import in_process
from pipelines.tasks.workbench import Workbench
from tests.conftest import SAMPLES

CAT, RACCOON = str(SAMPLES / "cat.jpg"), str(SAMPLES / "raccoon.jpg")
QUICK = [
    "--steps",
    "3",
    "--set",
    "lora.steps=2",
    "--set",
    "lora.rank=2",
    "--frames",
    "5",
    "--size",
    "64",
    "--set",
    "align.features=alexnet",
    "--device",
    "cpu",
]

LAID_OVER = {"between": "dissolve", "align.on": False, "frames": 3, "size": 64}
"""Settings of a clip that needs no model."""
SHORT = {"frames": 7, "steps": 4, "lora.steps": 2, "lora.rank": 2, "size": 64, "batch": 2}
SHORT |= {"align.features": "alexnet"}
"""Settings of the clips of a manifest."""
CLIPS = [
    {"name": "pair", "keyframes": ["cat.jpg", "raccoon.jpg"]},
    {"name": "three", "keyframes": ["raccoon.jpg", {"image": "coffee.jpg", "prompt": "a cup"}, "cat.jpg"]},
]


class Spent(dict):
    """What each stage has spent so far; it is told of all that is spent."""

    def __call__(self, stage, cost, preview=None):
        self[stage] = self.get(stage, 0) + cost


def fitted(model, keyframes, settings, progress=silent, detector=None):
    """Keyframes fitted together."""
    start = Embeddings(model.embed([keyframe.prompt for keyframe in keyframes]), model.embed([settings.negative]))
    pixels = torch.cat([keyframe.pixels for keyframe in keyframes])
    texts = fit_embeddings(model, pixels, start, settings, progress)
    return fit_keyframes(model, pixels, texts, settings, progress, detector)


def captured(model, keyframes, settings):
    """Keyframes with all that the frames next to them borrow."""
    inverted = invert_keyframes(model, fitted(model, keyframes, settings), settings, silent, [0.0] * len(keyframes))
    times = model.schedule.times(settings.steps, skip=settings.infill.skip)
    return [capture_keyframe(model, keyframe, settings, times, silent, 0.0) for keyframe in inverted]


def finished_frames(model, ends, settings, alphas):
    """Frames (B,3,H,W) between two captured keyframes, at the size at which the model works."""
    made = Infill(model, *ends, settings).render(alphas, silent)
    own = [end.keyframe.pixels for end in ends]
    whole = [End.of(pixels, pixels - end.residual, pixels) for pixels, end in zip(own, ends, strict=True)]
    return torch.cat([finished(*one, whole, settings.fade) for one in zip(made.split(1), alphas, strict=True)])


def bench_of(models, clip, folder):
    """What the parts of a clip's work share."""
    return Workbench(models, Plan.of(clip, lambda: models.geometry(clip.model)), folder, silent)


def as_kept(tensors, metadata):
    """What a store has under a key, as it is."""
    return tensors, metadata


def render(model, clip, folder, progress=silent, choose=None):
    """A clip rendered in this process, its work kept in a folder."""
    plan = Plan.of(clip, lambda: model.geometry)
    work = maker_of(Models(model, PerceptualDistance()), plan, folder, progress, choose)
    return render_to_store(plan, in_process(work), folder)


def clip(names, settings, prompts=(), **options):
    """A clip of the sample photographs."""
    return clip_of([SAMPLES / name for name in names], prompts, settings, "clip.mp4", **options)


@pytest.fixture
def command(monkeypatch, capsys):
    """The command in this process, which has paid for the imports."""
    log = logging.getLogger("morph")  # the command takes it for itself; the next test has it as it was
    monkeypatch.setattr(log, "handlers", log.handlers)
    monkeypatch.setattr(log, "propagate", log.propagate)
    level = log.level
    threads = torch.get_num_threads()  # a rerun takes those of its recipe

    def here(*arguments: str, cwd: Path | None = None):
        if cwd:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["morph", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    yield here
    log.setLevel(level)
    torch.set_num_threads(threads)


@pytest.fixture
def dissolve(tmp_path):
    """A clip of two photographs under a name, or of other images."""

    def named(name, *images, **settings):
        images = images or [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
        return clip_of(images, (), changed(Settings(), {**LAID_OVER, **settings}), tmp_path / f"{name}.mp4")

    return named


def write_manifest(folder, place, clips=CLIPS, **settings):
    """A manifest in a folder of its own, with the photographs and the model beside it."""
    place.mkdir()
    for image in SAMPLES.glob("*.jpg"):
        shutil.copy(image, place)
    shutil.copytree(folder, place / "model")
    content = {"defaults": {"model": "model", "settings": {**SHORT, **settings}}, "clips": clips}
    path = place / f"{place.name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def manifest(folder, tmp_path):
    """Writes a manifest of clips, by default of two short ones."""
    return lambda clips=CLIPS, name="shots", **settings: write_manifest(folder, tmp_path / name, clips, **settings)


def frames_of(folder):
    """Hashes of all PNGs in a folder."""
    files = sorted(folder.rglob("*.png"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def without_mediapipe(monkeypatch):
    """As if the extra had never been installed."""

    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(landmarks, "distribution", nothing)
    landmarks.installed.cache_clear()
    yield
    landmarks.installed.cache_clear()
