"""A manifest of photographs that are laid over one another, and what a batch of two clips comes to."""

import shutil

import pytest
import torch
import yaml

from pipelines.batch.run import run_here
from pipelines.batch.where import Where
from pipelines.manifest.read import read_manifest
from tests.conftest import SAMPLES
from tests.pipelines.conftest import LAID_OVER, frames_of, write_manifest


@pytest.fixture
def shots(tmp_path):
    """A manifest of one clip, beside its photographs."""
    place = tmp_path / "shots"
    place.mkdir()
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, place)
    content = {"settings": LAID_OVER, "keyframes": ["cat.jpg", "raccoon.jpg"], "output": "pair.mp4"}
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
    assert [outcome.error for outcome in outcomes] == ["", ""]
    return frames_of(path.with_suffix(".job"))
