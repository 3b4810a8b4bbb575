"""``morph match`` as a person meets it, on a photograph and a copy of it that was moved."""

import json

import numpy as np
import OpenImageIO
import pytest
from PIL import Image

from tests.conftest import SAMPLES

CAT, COFFEE = str(SAMPLES / "cat.jpg"), str(SAMPLES / "coffee.jpg")
MOVED = 20
"""Pixels by which the copy lies to the left, of 192."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A photograph of 192 pixels a side, and another cut of it, MOVED further right."""
    folder = tmp_path_factory.mktemp("pair")
    with Image.open(CAT) as image:
        photograph = image.resize((192 + MOVED, 192 + MOVED), Image.Resampling.LANCZOS)
    photograph.crop((0, 0, 192, 192)).save(folder / "a.png")
    photograph.crop((MOVED, 0, 192 + MOVED, 192)).save(folder / "b.png")
    return folder


def test_a_moved_copy_is_found_drawn_and_written(command, pair, tmp_path):
    images = [str(pair / name) for name in ("a.png", "b.png")]
    result = command("match", *images, "-o", "m.png", "--field", "f.npz", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["output"] == "m.png"
    assert report["field"] == ["f.npz"]
    assert report["size"] == [192, 192]
    assert report["features"] == "vgg16"
    assert report["energy_after"] < 0.6 * report["energy_before"]
    assert report["matched"] > 0.5
    assert report["mirrored"] is False
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("compared by vgg16: ")
    with Image.open(tmp_path / "m.png") as picture:
        assert (picture.format, picture.width) == ("PNG", 1200)
    with np.load(tmp_path / "f.npz") as arrays:
        moved = arrays["a_to_b"][40:150, 60:150] - np.moveaxis(np.mgrid[40:150, 60:150][::-1], 0, -1)
    np.testing.assert_allclose(np.median(moved, (0, 1)), [-MOVED, 0], atol=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npz", "m.png"]


def test_only_what_was_found_between_the_same_pictures_gives_way(command, pair, tmp_path):
    a, b = str(pair / "a.png"), str(pair / "b.png")
    more = ["-o", "m.png", "--size", "64", "--features", "alexnet"]
    (tmp_path / "f.npz").write_text("mine")
    assert command("match", a, b, *more, cwd=tmp_path).returncode == 0
    refused = command("match", a, b, *more, "--field", "f.npz", cwd=tmp_path)
    assert (refused.returncode, "f.npz: is there already" in refused.stderr) == (2, True)
    for overwrite in (["--overwrite"], []):
        done = command("match", a, b, *more, "--field", "f.npz", *overwrite, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    refused = command("match", b, a, *more, cwd=tmp_path)
    assert refused.returncode == 2
    assert "m.png: is there already, and something else made it" in refused.stderr
    assert "--overwrite" in refused.stderr


def test_points_of_the_originals_are_obeyed_and_st_maps_written(command, pair, tmp_path):
    with Image.open(pair / "a.png") as image:  # stored on its side, and seen upright
        exif = Image.Exif()
        exif[274] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    (tmp_path / "points.csv").write_text("xa,ya,xb,yb\n96,96,90,120\n60,60,40,60\n140,60,120,60\n")
    arguments = [str(tmp_path / "turned.png"), str(pair / "b.png"), "--points", "points.csv"]
    more = ["--features", "alexnet", "--size", "96x64", "--field", "f.exr"]
    result = command("match", *arguments, "-o", "m.png", *more, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "m.png\n"), result.stderr
    assert "compared by alexnet" in result.stderr
    file = OpenImageIO.ImageInput.open(str(tmp_path / "f.a_to_b.exr"))
    pixels = file.read_image("float")
    file.close()
    assert pixels.shape == (64, 96, 3)
    # the crop to 3:2 leaves out 32 lines above and below; then all is halved
    for xa, ya, xb, yb in ((96, 96, 90, 120), (60, 60, 40, 60)):
        u, v, _ = pixels[round((ya + 0.5 - 32) / 2 - 0.5), round((xa + 0.5) / 2 - 0.5)]
        assert u * 192 - 0.5 == pytest.approx(xb, abs=3)
        assert (1 - v) * 128 + 32 - 0.5 == pytest.approx(yb, abs=3)
    assert (tmp_path / "f.b_to_a.exr").is_file()


def test_a_mirrored_picture_is_told_and_not_turned(command, tmp_path):
    with Image.open(CAT) as image:
        image.resize((160, 160)).save(tmp_path / "a.png")
        image.resize((160, 160)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "b.png")
    result = command("match", "a.png", "b.png", "-o", "m.png", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["mirrored"] is True
    assert "b.png: mirrored it matches far better" in result.stderr


def test_a_models_own_denoiser_may_look(command, pair, folder, tmp_path):
    images = [str(pair / name) for name in ("a.png", "b.png")]
    more = ["--features", "unet", "--model", str(folder), "--size", "64"]
    result = command("match", *images, "-o", "m.png", *more, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["features"] == "unet"
    assert result.stderr.startswith("compared by unet: ")
    assert (tmp_path / "m.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CAT, COFFEE, "-o", "m.jpg"], "not the name of a PNG"),
        ([CAT, COFFEE, "-o", ""], "not the name of a PNG"),
        ([CAT, COFFEE, "-o", "no/m.png"], "no folder no"),
        ([CAT, COFFEE, "-o", "m.png", "--field", "f.png"], "FILE.npz"),
        ([CAT, COFFEE, "-o", "m.png", "--field", "no/f.exr"], "no folder no"),
        ([CAT, COFFEE, "-o", "m.png", "--size", "big"], "size 'big'"),
        ([CAT, COFFEE, "-o", "m.png", "--features", "eyes"], "eyes"),
        ([CAT, COFFEE, "-o", "m.png", "--model", "embedded"], "add --features unet"),
        ([CAT, COFFEE, "-o", "m.png", "--features", "unet", "--model", "none"], "'none'"),
        ([CAT, COFFEE, "-o", "m.png", "--points", "nothing.csv"], "nothing.csv"),
        ([CAT, "nothing.png", "-o", "m.png"], "nothing.png"),
        ([CAT, "-o", "m.png"], "2 values"),
        ([CAT, COFFEE], "--output"),
        (["own.png", CAT, "-o", "own.png"], "is the input 'own.png' itself"),
        (
            [CAT, COFFEE, "-o", "m.png", "--points", "own.npz", "--field", "own.npz"],
            "is the input 'own.npz' itself",
        ),
        ([CAT, COFFEE, "-o", "m.png", "--points", "far.csv"], "far.csv, line 1: (500, 1) is outside A"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(command, tmp_path, arguments, message):
    files = {"own.png": b"a picture", "own.npz": b"1 2 3 4", "far.csv": b"500 1 2 3"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    result = command("match", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_help_says_which_map_brings_what(command):
    text = " ".join(command("match", "--help").stdout.split())
    assert "FILE.a_to_b.exr brings B into the shape of A" in text
