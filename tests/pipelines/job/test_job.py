"""A planned clip, and what people are told of it before it is made."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from morph.errors import SettingsError
from pipelines.job.job import Job
from pipelines.request.ways import NO_MODEL
from tests.conftest import SAMPLES


def test_a_plan_is_told_and_nothing_is_made(dissolve, tmp_path):
    job = Job.of(dissolve("a"), tmp_path / "a.job", tmp_path / "frames")
    assert [output.path for output in job.outputs] == [tmp_path / "a.mp4", tmp_path / "frames"]
    assert str(tmp_path / "a.mp4: 3 frames of 64x64 at 24 fps, 0.12 s; ") + NO_MODEL in job.summary(None)
    facts = job.as_dict()
    assert (facts["model"], facts["unet_forwards"], facts["frames"], facts["size"]) == (None, 0, 3, [64, 64])
    assert json.loads(json.dumps(facts)) == facts
    assert list(tmp_path.iterdir()) == []


def test_a_controlnet_without_poses_is_refused_where_a_model_is_needed(dissolve, tmp_path):
    Job.of(replace(dissolve("a"), controlnet="some/one"), tmp_path / "a.job")
    with pytest.raises(SettingsError, match="a ControlNet needs poses"):
        Job.of(replace(dissolve("a", between="diffusion"), controlnet="some/one"), tmp_path / "a.job")


def test_what_a_file_cannot_keep_is_said_once_whoever_renders(command, manifest):
    path = manifest([{"name": "a", "output": "a.gif", "keyframes": ["cat.png", "raccoon.png"]}], frames=3, depth=16)
    for name in ("cat", "raccoon"):
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            image.putalpha(128)
            image.save(path.parent / f"{name}.png")
    notices = ("laid on black", "8 of the 16 bits", "motion is slightly uneven")
    cpu = ("--device", "cpu")
    for arguments in (
        ("render", str(path), "--dry-run"),
        ("batch", str(path), *cpu),
        ("render", str(path), "-o", "b.gif", *cpu),
        ("rerun", "a.gif.json", "-o", "c.gif", *cpu),
    ):
        result = command(*arguments, cwd=path.parent)
        assert result.returncode == 0, result.stderr
        assert [result.stderr.count(notice) for notice in notices] == [1, 1, 1], result.stderr
