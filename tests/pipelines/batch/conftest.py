"""Clips of photographs laid over one another, which need no model, and a folder that describes some."""

import shutil

import pytest
import torch
import yaml

from pipelines.batch.run import run_here
from pipelines.batch.where import Where
from pipelines.manifest.read import read_manifest
from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import frames_of, write_manifest

QUICK = {"between": "dissolve", "align.on": False, "frames": 3, "size": 64}


@pytest.fixture
def dissolve(tmp_path):
    """A clip of two photographs under a name, or of other images."""

    def named(name, *images, **settings):
        images = images or [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
        return clip_of(images, (), changed(Settings(), {**QUICK, **settings}), tmp_path / f"{name}.mp4")

    return named


@pytest.fixture
def shots(tmp_path):
    """A manifest of one clip, beside its photographs."""
    place = tmp_path / "shots"
    place.mkdir()
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, place)
    content = {"settings": QUICK, "keyframes": ["cat.jpg", "raccoon.jpg"], "output": "pair.mp4"}
    path = place / "shots.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="session")
def alone(folder, tmp_path_factory):
    """The frames of one clip after the other, on one thread: sums come out the same whoever does them."""
    path = write_manifest(folder, tmp_path_factory.mktemp("here") / "here", frames=15)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    outcomes = list(run_here(read_manifest(path), path.with_suffix(".job"), Where(device="cpu")))
    torch.set_num_threads(before)
    assert [one.error for one in outcomes] == ["", ""]
    return frames_of(path.with_suffix(".job"))
