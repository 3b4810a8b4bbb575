"""Clips of a small random model, rendered in this process."""

import shutil
from itertools import count

import numpy as np
import pytest

from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from morph.perception.lpips import PerceptualDistance
from pipelines.request.clip import clip_of
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.sequence import render_to_store
from pipelines.tasks.store import FRAMES, Reel
from pipelines.tasks.task import in_process
from pipelines.tasks.track import Track
from tests.conftest import SAMPLES
from tests.pipelines.conftest import clip, render, silent

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 3, "lora.rank": 2, "frames": 7, "batch": 3, "size": "64"})
PAIR = ("cat.jpg", "raccoon.jpg")
THREE = (*PAIR, "coffee.jpg")
FOUR = (*THREE, "cat.jpg")
WARP = changed(load_preset("warp"), {"align.features": "alexnet", "frames": 5})


def pixels_of(name):
    """A sample photograph as a frame of 64 pixels shows it."""
    pixels = load_keyframe(SAMPLES / name, "", (64, 64)).pixels
    return ((pixels[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def planned(models, names=PAIR, prompts=(), **values):
    """A clip of the sample photographs worked out, with settings on top of the quick ones."""
    own = clip(names, changed(QUICK, values), prompts)
    return Plan.of(own, lambda: models.geometry(own.model))


@pytest.fixture(scope="session")
def noise_model(folder):
    """One kind of prediction: what a frame is made of is tested for both elsewhere."""
    return load_model(str(folder))


@pytest.fixture
def morph(noise_model, tmp_path):
    """Frames of a clip, its work kept in a folder of its own each time."""
    runs = count()

    def run(names, settings, progress=silent, choose=None, **options):
        own = clip(names, settings, **options)
        return list(render(noise_model, own, tmp_path / str(next(runs)), progress, choose))

    return run


def photographs(*names):
    """Files of sample photographs, by default of a pair."""
    return [SAMPLES / name for name in names or PAIR]


def decibels(one, other):
    """PSNR of two frames of 8 bits."""
    error = np.square(one.astype(float) - other).mean()
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)


@pytest.fixture(scope="session")
def configs(folder, tmp_path_factory):
    """A model of which only the configs are there: whoever loaded it would fail."""
    place = tmp_path_factory.mktemp("configs") / "model"
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors"))
    return place


@pytest.fixture
def dissolve(configs, tmp_path):
    """A clip rendered without a model, by default in one folder."""

    def run(images, settings, job="job"):
        own = clip_of(images, (), settings, "clip.mp4", model=str(configs))
        models = Models.of(own, "cpu", "auto")
        plan = Plan.of(own, lambda: models.geometry(own.model))
        return render_to_store(plan, in_process(maker_of(models, plan, tmp_path / job)), tmp_path / job)

    return run


@pytest.fixture(scope="session")
def perception():
    return PerceptualDistance()


@pytest.fixture
def fade(perception, tmp_path):
    """A track that fades from one photograph to the other, ever faster, and the batches that it rendered."""
    first, last = (pixels_of(name).astype(float) for name in PAIR)

    def made(batch=2):
        batches = []

        def render(alphas):
            batches.append(list(alphas))
            return [np.rint((1 - at**3) * first + at**3 * last).astype(np.uint8) for at in alphas]

        track = Track(Reel(tmp_path / FRAMES / "reel"), perception, render, batch, (64, 64))
        track.start([0.0, 1.0], lambda: render([0.0, 1.0]))
        batches.clear()
        return track, batches

    return made


def run_out(generator):
    """What a generator yields, and what it returns."""
    parts = []
    while True:
        try:
            parts.append(next(generator))
        except StopIteration as done:
            return parts, done.value
