"""Clips of a batch one after the other, or on a cluster."""

import sys

import pytest

from morph.errors import MorphError
from pipelines.batch.run import run_here, run_ray
from pipelines.batch.where import Where


def test_clips_are_rendered_one_after_the_other_as_outcomes_are_asked_for(dissolve, tmp_path):
    clips = [dissolve("a"), dissolve("bad", tmp_path / "none.png", tmp_path / "none.png"), dissolve("b")]
    outcomes = run_here(clips, tmp_path / "job", Where(device="cpu"))
    assert (next(outcomes).name, (tmp_path / "b.mp4").exists()) == ("a", False)
    assert [(outcome.name, outcome.frames, bool(outcome.error)) for outcome in outcomes] == [
        ("bad", 0, True),
        ("b", 3, False),
    ]
    assert [(tmp_path / name).is_file() for name in ("a.mp4", "bad.mp4", "b.mp4")] == [True, False, True]


def test_without_ray_the_way_to_it_is_named(dissolve, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(MorphError, match=r"pip install .*\[ray\]'"):
        next(run_ray([dissolve("a")], tmp_path / "job", Where(device="cpu"), "local", 1))
    assert not (tmp_path / "a.mp4").exists()
