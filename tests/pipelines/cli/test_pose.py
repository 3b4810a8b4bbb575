"""``morph pose`` as a person meets it."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from morph.perception.pose import COLOURS
from tests.conftest import SAMPLES

HOPPER, COFFEE = str(SAMPLES / "hopper.jpg"), str(SAMPLES / "coffee.jpg")
WITHOUT = "import sys; sys.modules['mediapipe'] = None; "  # as if it were not installed


def run(*arguments, cwd, first=""):
    command = [sys.executable, "-c", f"{first}from pipelines.cli import main; main()", "pose", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120)


def picture(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


@pytest.fixture(autouse=True, scope="module")
def _mediapipe():
    pytest.importorskip("mediapipe", reason="it has no wheels for this Python")


def test_a_portrait_becomes_a_skeleton_and_its_path_alone_is_printed(tmp_path):
    result = run(HOPPER, "-o", "pose.png", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "pose.png\n", "")
    skeleton = picture(tmp_path / "pose.png")
    assert skeleton.shape == (384, 384, 3)
    assert not skeleton[:60].any()  # above the face
    x, y = round(0.521 * 384), round(0.435 * 384)  # the nose
    assert skeleton[y, x].tolist() == list(COLOURS[0])
    assert [path.name for path in tmp_path.iterdir()] == ["pose.png"]


def test_another_pictures_skeleton_stays(command, tmp_path):
    for image, more, code in ((HOPPER, (), 0), (HOPPER, (), 0), (COFFEE, (), 2), (COFFEE, ("--overwrite",), 0)):
        result = command("pose", image, "-o", "pose.png", *more, cwd=tmp_path)
        assert result.returncode == code
        assert ("pose.png: is there already" in result.stderr) == (code == 2)


def test_json_tells_the_keypoints_and_over_shows_the_photograph(command, tmp_path):
    result = command("pose", HOPPER, "-o", "over.png", "--over", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["output"] == "over.png"
    assert report["detector"] == "mediapipe"
    assert report["size"] == [384, 384]
    (person,) = report["people"]
    assert person["nose"] == pytest.approx([0.52, 0.44, 1], abs=0.02)
    assert "left_ankle" not in person
    assert picture(tmp_path / "over.png")[:60].any()


def test_nobody_is_a_black_map_and_said(tmp_path):
    result = run(COFFEE, "-o", "pose.png", "--json", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == f"{COFFEE}: mediapipe finds nobody, so no skeleton is drawn\n"
    assert json.loads(result.stdout)["people"] == []
    assert not picture(tmp_path / "pose.png").any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([HOPPER, "-o", "pose.jpg"], "not the name of a PNG"),
        ([HOPPER, "-o", ""], "not the name of a PNG"),
        ([HOPPER, "-o", "no/folder/pose.png"], "no/folder"),
        (["nothing.png", "-o", "pose.png"], "nothing.png"),
        (["nothing.png", "-o", str(SAMPLES / "sheet.png")], "nothing.png"),
        ([HOPPER, "-o", "pose.png", "--detector", "alphapose"], "neither mediapipe, a folder, nor a hub id"),
        ([HOPPER, "-o", "pose.png", "--detector", "."], "body_pose_model.safetensors"),
        ([HOPPER], "--output"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(command, tmp_path, arguments, message):
    result = command("pose", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_without_mediapipe_the_way_to_it_is_named(tmp_path):
    result = run(HOPPER, "-o", "pose.png", cwd=tmp_path, first=WITHOUT)
    assert result.returncode == 2
    assert re.search(r"pip install .*\[pose\]'", result.stderr)
    assert len(result.stderr.splitlines()) == 1
