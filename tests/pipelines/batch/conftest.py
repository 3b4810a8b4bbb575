"""Clips of photographs laid over one another, which need no model, and a folder that describes some."""

import shutil

import pytest
import yaml

from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES

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
