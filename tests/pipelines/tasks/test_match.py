"""Two pictures from files, and what of the one is what of the other."""

import json

import pytest
import torch
from PIL import Image

from morph.errors import InputError
from morph.installed import how_to_install
from morph.media.keyframe import load_keyframe
from morph.media.points import read_points
from pipelines.tasks.match import matched
from tests.conftest import SAMPLES

PEOPLE = ["hopper.jpg", "collins.jpg"]


def test_a_match_says_how_many_helped(command, tmp_path):
    images = [str(SAMPLES / name) for name in PEOPLE]
    small = ["--features", "alexnet", "--size", "128", "--json"]
    helped = command("match", *images, "-o", "m.png", *small, cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    count = json.loads(helped.stdout)["landmarks"]
    assert count >= 478
    assert f"{count} landmarks of people helped" in helped.stderr
    alone = command("match", *images, "-o", "m.png", *small, "--no-landmarks", cwd=tmp_path)
    assert json.loads(alone.stdout)["landmarks"] == 0
    assert "landmarks" not in alone.stderr


@pytest.mark.usefixtures("without_mediapipe")
def test_a_match_names_the_extra_where_it_is_missing(command, tmp_path):
    images = [str(SAMPLES / name) for name in PEOPLE]
    small = ["--features", "alexnet", "--size", "128", "--json"]
    result = command("match", *images, "-o", "m.png", *small, cwd=tmp_path)
    assert json.loads(result.stdout)["landmarks"] == 0
    assert [line for line in result.stderr.splitlines() if "landmarks" in line] == [
        f"landmarks of faces and bodies would help with people: {how_to_install('pose')}"
    ]


def test_a_picture_and_a_larger_copy_are_brought_to_the_size_of_the_first(tmp_path):
    with Image.open(SAMPLES / "cat.jpg") as image:
        small = image.convert("RGB").resize((96, 64))
    small.save(tmp_path / "a.png")
    small.resize((192, 128)).save(tmp_path / "b.png")
    first, second, found = matched(tmp_path / "a.png", tmp_path / "b.png", features="alexnet", landmarks=False)
    assert first.pixels.shape == second.pixels.shape == (1, 3, 64, 96)
    assert torch.equal(first.pixels, load_keyframe(tmp_path / "a.png", "", (96, 64)).pixels)
    assert (found.features, found.landmarks, found.mirrored) == ("alexnet", 0, False)
    assert found.warp.control.abs().max() < 0.05  # nothing moves
    assert found.matched > 0.5


def test_points_are_of_the_pictures_as_they_are_on_disk(tmp_path):
    (tmp_path / "points.csv").write_text("96,192,288,192\n")
    files = [SAMPLES / "cat.jpg"] * 2
    points = read_points(tmp_path / "points.csv")
    _, _, found = matched(*files, (64, 64), points=points, features="alexnet", landmarks=False)
    # in the middle between a quarter and three quarters of the way across lies the middle, half a unit from both
    x, y = found.warp.at(torch.zeros(1, 2))[0]
    assert float(x) == pytest.approx(0.5, abs=0.1)
    assert float(y) == pytest.approx(0, abs=0.1)
    (tmp_path / "points.csv").write_text("96,192,384,192\n")
    with pytest.raises(InputError, match="is outside B"):
        matched(*files, (64, 64), points=read_points(tmp_path / "points.csv"), features="alexnet")
