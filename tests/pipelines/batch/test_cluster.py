"""Clips on a Ray cluster."""

import pytest

from pipelines.batch.run import run_ray
from pipelines.batch.where import Where
from pipelines.manifest.read import read_manifest
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CLIPS, frames_of


@pytest.mark.slow
def test_ray_makes_the_same_frames(manifest, alone, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(SAMPLES.parent))
    # Ray says it itself: given from a process's start on, sums come out otherwise than by what torch is told later
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    bad = {"name": "bad", "settings": {"model_size": 100}, "keyframes": ["cat.jpg", "raccoon.jpg"]}
    path = manifest([*CLIPS, bad], frames=15)
    outcomes = run_ray(read_manifest(path), path.with_suffix(".job"), Where(device="cpu"), "local", 2)
    errors = {outcome.name: outcome.error for outcome in outcomes}
    assert (errors["pair"], errors["three"]) == ("", "")
    assert "multiples of 64" in errors["bad"]
    assert frames_of(path.with_suffix(".job")) == alone


def test_no_cluster_is_one_clear_line(command, manifest):
    pytest.importorskip("ray")
    result = command("batch", str(manifest()), "--ray", "nowhere")
    assert result.returncode == 1
    assert "no Ray cluster at nowhere" in result.stderr
