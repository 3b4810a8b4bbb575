"""``morph edit`` as a person meets it."""

import json

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
