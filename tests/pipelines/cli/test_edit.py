"""``morph edit`` as a person meets it."""

import json

import numpy as np
from PIL import Image

from pipelines.request.edits.hows import HOWS
from tests.pipelines.conftest import CAT


def test_an_edit_and_its_path_alone_is_printed(command, folder, tmp_path):
    small = ("--how", "sdedit", "--steps", "3", "--size", "64", "--model", str(folder), "--device", "cpu")
    result = command("edit", CAT, "-o", "out.png", *small, "--set", "strength=.9", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["size"] == [64, 64]
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 64)
    again = command("edit", CAT, "-o", "out.png", *small, cwd=tmp_path)
    assert again.returncode == 2
    assert "something else made it" in again.stderr
    assert command("edit", CAT, "-o", "out.png", *small, "--overwrite", cwd=tmp_path).stdout == "out.png\n"


def test_all_edits_are_listed_with_their_options(command):
    result = command("edit", "--hows")
    assert result.returncode == 0
    for name, how in HOWS.items():
        assert f"{name}: {how.does}" in result.stdout
    assert "strength = 0.5   0 to 1" in result.stdout


def test_a_wrong_name_is_one_line(command, tmp_path):
    result = command("edit", CAT, "-o", "out.png", "--how", "sdedits", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: how is 'sdedits'; did you mean sdedit?")
    assert not list(tmp_path.iterdir())


def test_what_is_black_in_the_mask_is_written_as_it_was(command, folder, tmp_path):
    with Image.open(CAT) as picture:
        picture.convert("RGB").resize((64, 64)).save(tmp_path / "cat.png")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    mask.save(tmp_path / "mask.png")
    small = ("--steps", "3", "--guidance", "1", "--size", "64", "--model", str(folder), "--device", "cpu")
    how = ("--how", "inpaint", "--mask", "mask.png", "--set", "jump=1", "--set", "repeat=2")
    result = command("edit", "cat.png", "-o", "out.png", *how, *small, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    before, after = (np.array(Image.open(tmp_path / name)) for name in ("cat.png", "out.png"))
    assert np.array_equal(after[:, :32], before[:, :32])
    assert not np.array_equal(after[:, 32:], before[:, 32:])
    wrong = command(
        "edit", "cat.png", "-o", "no.png", "--how", "compose", "--prompt", "x", "--set", "terms=a @moon"
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("Error: terms has the place 'moon'; it must be left, right")


def test_what_is_given_twice_or_half_is_one_line(command, tmp_path):
    def told(*more):
        result = command("edit", CAT, "-o", "out.png", "--how", "sdedit", *more, cwd=tmp_path)
        assert result.returncode == 2
        return result.stderr

    assert told("--set", "how=variation").startswith("Error: how is given twice, by --how and by --set")
    assert "steps is given twice" in told("--steps", "3", "--set", "steps=4")
    assert "morph edit --hows lists the keys" in told("--set", "strength")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_needed_is_listed(command):
    listed = command("edit", "--hows").stdout
    assert "needs --set directions; takes mask, source" in listed
