"""``morph directions`` as a person meets it."""

import json

import numpy as np
import pytest
from PIL import Image

from morph.directions.card import Found
from tests.codes import embedded_with_codes
from tests.conftest import SAMPLES

CAT = str(SAMPLES / "cat.jpg")
ALIKE = ["--toward", "a cat", "--away", "a cat"]
NOWHERE = ["--toward", "a cat", "--away", "a dog", "--clip", "nowhere"]
SMALL = ["--size", "64", "--steps", "3", "--samples", "6", "--device", "cpu"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    numbers = np.random.default_rng(0)
    for index in range(5):
        Image.fromarray(numbers.integers(0, 255, (2, 2, 3), np.uint8)).resize((40, 40)).save(
            folder / f"{index}.png"
        )
    return folder


def test_directions_are_found_shown_and_gone_along(command, folder, tmp_path):
    more = [*SMALL, "--model", str(folder), "--count", "2"]
    for method, space in (("pca", "text"), ("sefa", "h"), ("pca", "h-map")):
        fitted = command(
            "directions", "fit", method, "-o", "d.safetensors", "--space", space, *more, "--overwrite", cwd=tmp_path
        )
        assert (fitted.returncode, fitted.stdout) == (0, "d.safetensors\n"), fitted.stderr
        shown = command(
            *("directions", "show", "d.safetensors", "-o", f"{method}-{space}.png", "--image", CAT, "--json"),
            *("--model", str(folder), "--columns", "3", "--device", "cpu"),
            cwd=tmp_path,
        )
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["rows"] == 2
        assert (tmp_path / f"{method}-{space}.png").is_file()
    command("directions", "fit", "pca", "-o", "t.safetensors", "--space", "text", *more, cwd=tmp_path)
    edited = command(
        *(
            "edit",
            CAT,
            "-o",
            "out.png",
            "--how",
            "direction",
            "--set",
            "directions=t.safetensors",
            "--set",
            "number=2",
        ),
        *("--model", str(folder), "--steps", "3", "--size", "64", "--model-size", "64", "--device", "cpu"),
        cwd=tmp_path,
    )
    assert edited.returncode == 0, edited.stderr
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 64)


def test_a_folder_becomes_a_space(command, pictures, tmp_path):
    quick = ["--size", "32", "--numbers", "4", "--set", "fit_steps=3", "--set", "width=16"]
    learnt = command("directions", "glo", str(pictures), "-o", "own.safetensors", *quick, "--json", cwd=tmp_path)
    assert learnt.returncode == 0, learnt.stderr
    assert json.loads(learnt.stdout)["pictures"] == 5
    fit = ["directions", "fit", "steer", "--set", "change=brightness", "--set", "fit_steps=2"]
    fitted = command(*fit, "-o", "d.safetensors", "--space", "glo:own.safetensors", "--json", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert json.loads(fitted.stdout)["directions"] == 1
    assert Found.load(tmp_path / "d.safetensors").card.labels == ("brightness",)
    assert command("directions", "show", "d.safetensors", "-o", "s.png", cwd=tmp_path).returncode == 0
    refused = command(
        "directions", "glo", str(pictures), "-o", "own.safetensors", *quick, "--seed", "1", cwd=tmp_path
    )
    assert (refused.returncode, "--overwrite" in refused.stderr) == (2, True)


def test_methods_are_listed_with_the_numbers_of_their_authors(command):
    listed = command("directions", "fit", "--methods")
    assert listed.returncode == 0
    for text in ("boundary:", "500,000 samples", "fit_steps = 60", "change = zoom | zoom, shift-x"):
        assert text in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "pac", "-o", "d.safetensors"], "did you mean pca"),
        (["fit", "pca", "-o", "d.png"], "not the name of a file of directions"),
        (["fit", "pca", "-o", "d.safetensors", "--space", "w"], "there are h, h-map, text, semantic and glo:FILE"),
        (["fit", "pca", "-o", "d.safetensors", "--set", "share=1"], "pca has no share"),
        (["fit", "boundary", "-o", "d.safetensors", "--toward", "a cat"], "--toward and --away go together"),
        (["fit", "boundary", "-o", "d.safetensors"], "goes by a score"),
        (["fit", "region", "-o", "d.safetensors"], "needs a mask"),
        (["fit", "region", "-o", "d.safetensors", "--mask", "none.png"], "none.png: cannot be "),
        (["fit", "regressor", "-o", "d.safetensors", *ALIKE], "say the same"),
        (["fit", "regressor", "-o", "d.safetensors", *NOWHERE], "'nowhere' is neither"),
        (["fit", "pca", "-o", "d.safetensors", "--set", "=1"], "directions fit --methods lists the keys"),
        (["fit", "pca", "-o", "d.safetensors", "--data", "none"], "cannot be read as a folder"),
        (["fit", "pca", "-o", "d.safetensors", "--space", "glo:none.safetensors"], "is not there"),
        (["fit", "pca", "-o", "d.safetensors", "--size", "70", "--samples", "4"], "in steps of 32"),
        (["show", "none.safetensors", "-o", "s.png"], "none.safetensors is not there"),
        (["show", CAT, "-o", "s.png"], "is no .safetensors"),
        (["show", CAT, "-o", "s.png", "--image", CAT, "--samples", "2"], "leave out --samples"),
        (["glo", "none", "-o", "s.safetensors"], "cannot be read as a folder"),
        (["glo", "none", "-o", "s.safetensors", "--set", "depth=3"], "has no depth"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(command, tmp_path, arguments, message):
    result = command("directions", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "sample:" not in result.stderr, "told before anything is made"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("pca", ["--space", "glo:own.safetensors", "--steps", "3"], "leave out --steps"),
        ("pca", ["--space", "glo:own.safetensors", "--size", "64"], "leave out --size"),
        ("pca", ["--space", "glo:own.safetensors", "--prompt", "a cat"], "leave out --prompt"),
        ("pca", ["--until", ".5"], "leave out --until"),
        ("pca", ["--clip", "embedded"], "leave out --clip"),
        ("boundary", ["--having", "a", "--lacking", "b", "--clip", "embedded"], "leave out --clip"),
        ("boundary", ["--toward", "a cat", "--away", "a dog", "--count", "8"], "boundary finds one direction"),
        ("steer", ["--count", "2"], "leave out --count"),
    ],
)
def test_options_that_nothing_heeds_are_refused(command, tmp_path, method, more, said):
    result = command("directions", "fit", method, "-o", "d.safetensors", *more, cwd=tmp_path)
    assert result.returncode
    assert said in result.stderr


def test_a_classifier_of_codes_is_found_in_folders_and_gone_along(command, tmp_path, pictures):
    embedded_with_codes(tmp_path / "model")
    (tmp_path / "dark").mkdir()
    for file in sorted(pictures.iterdir()):
        Image.eval(Image.open(file), lambda value: value // 4).save(tmp_path / "dark" / file.name)
    fitted = command(
        *("directions", "fit", "classifier", "-o", "d.safetensors", "--space", "semantic", "--model", "model"),
        *("--having", "dark", "--lacking", str(pictures), *SMALL, "--json"),
        cwd=tmp_path,
    )
    assert fitted.returncode == 0, fitted.stderr
    said = json.loads(fitted.stdout)
    assert said["space"].startswith("the semantic of model")
    assert said["numbers"]["of"] == 12
    show = ["directions", "show", "d.safetensors", "-o", "s.png", "--image", CAT, "--columns", "3", "--json"]
    shown = command(*show, "--model", "model", "--device", "cpu", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["changes"][0] > 0
    edit = ["edit", CAT, "--how", "direction", "--set", "directions=d.safetensors", "--model", "model"]
    small = ["--steps", "3", "--size", "64", "--model-size", "64", "--device", "cpu"]
    for name, levels in (("all", ""), ("fine", "1")):
        edited = command(*edit, "-o", f"{name}.png", "--set", f"levels={levels}", *small, cwd=tmp_path)
        assert edited.returncode == 0, edited.stderr
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "fine.png").read_bytes()


def test_the_space_of_codes_wants_a_model_with_codes(command, folder, tmp_path):
    fit = "directions", "fit", "pca", "-o", "d.safetensors", "--space", "semantic"
    refused = command(*fit, "--model", str(folder), cwd=tmp_path)
    assert refused.returncode != 0
    assert refused.stderr.count("\n") == 1
    assert "has no semantic codes" in refused.stderr
    assert not (tmp_path / "d.safetensors").exists()
