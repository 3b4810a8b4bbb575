"""The sample scripts do what they say, on the model of the package, at a tiny size; and shots.yaml can be read."""

import ast
import importlib.util
import json
import re
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morph.media.film import open_film
from morph.media.recipe import read_recipe
from morph.media.stills import read_png
from pipelines.manifest.read import read_manifest
from tests.conftest import SAMPLES


def script(name):
    """A script's ``main``."""
    spec = importlib.util.spec_from_file_location(name, SAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def apart(a, b):
    """The mean difference of two pictures, of 255."""
    return np.abs(np.asarray(a.convert("RGB"), float) - np.asarray(b.convert("RGB"), float)).mean()


def sample(name, side):
    with Image.open(SAMPLES / name) as image:
        return image.resize((side, side), Image.Resampling.LANCZOS)


def frames_of(film):
    with Image.open(film) as opened:
        for number in range(opened.n_frames):
            opened.seek(number)
            yield opened.convert("RGB")


def test_every_script_is_tested():
    tests = set(re.findall(r'script\("(\w+)"\)', Path(__file__).read_text(encoding="utf-8")))
    assert {path.stem for path in SAMPLES.glob("*.py")} == tests
    told = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for path in (*SAMPLES.glob("*.py"), *SAMPLES.glob("*.ipynb")):
        assert f"]({path.name})" in told, path.name


@pytest.mark.slow
def test_two_images(tmp_path):
    first, *_, last = frames_of(script("two_images")(tmp_path, size="64", frames=4))
    assert apart(first, sample("cat.jpg", 64)) < 8  # WebP loses a little
    assert apart(last, sample("raccoon.jpg", 64)) < 8


@pytest.mark.slow
def test_a_sequence_shows_each_photograph_at_its_time(tmp_path):
    frames = script("sequence")(tmp_path, size="64", fps=4)
    assert len(frames) == 10 + 1 + 2  # until the last photograph at 2.5 s, that one, and its hold
    for at, name in ((0, "red-panda"), (2, "red-panda"), (4, "raccoon-wide"), (6, "raccoon-wide"), (12, "cat")):
        assert apart(Image.open(frames[at]), sample(f"{name}.jpg", 64)) < 5


@pytest.mark.slow
def test_one_stage_ends_at_the_photographs(tmp_path):
    first, middle, last = map(Image.open, script("one_stage")(tmp_path, side=128, frames=3))
    ends = [sample("red-panda.jpg", 128), sample("raccoon-wide.jpg", 128)]
    # at either end its own photograph is where it was: only the other one has come to it
    assert apart(first, ends[0]) < 2
    assert apart(last, ends[1]) < 2
    assert apart(middle, Image.blend(*ends, 0.5)) > 5  # things moved


@pytest.mark.slow
def test_a_custom_preset_goes_there_and_back(tmp_path):
    frames = list(frames_of(script("custom_preset")(tmp_path, size="64", frames=4)))
    assert len(frames) == 6
    assert apart(frames[0], sample("hopper.jpg", 64)) < 8
    assert apart(frames[3], sample("collins.jpg", 64)) < 8


@pytest.mark.slow
def test_points_are_drawn_and_obeyed(tmp_path, capsys):
    drawing, film = script("points")(tmp_path, size=96, frames=5)
    assert "of the places match" in capsys.readouterr().out
    with Image.open(drawing) as picture:
        assert picture.width > 96
    recipe = read_recipe(film)
    assert recipe["settings"]["align.points"].endswith("points.txt")
    frames = list(open_film(film).frames())
    assert len(frames) == 5
    ends = [np.asarray(sample(name, 96)) for name in ("red-panda.jpg", "raccoon-wide.jpg")]
    for frame, end in zip((frames[0], frames[-1]), ends, strict=True):
        assert np.abs(frame.astype(int) - end).mean() < 10


@pytest.mark.slow
def test_a_batch_goes_on_after_what_is_wrong(tmp_path):
    became = script("batch")(tmp_path, size="64", frames=3)
    assert [name for name, outcome in became.items() if outcome.startswith("refused: ")] == [
        "coffee-no-such-photograph"
    ]
    assert {path.stem for path in (tmp_path / "batch").glob("*.mp4")} == {"cat-raccoon", "hopper-collins"}


@pytest.mark.slow
def test_an_editor_gets_a_film_a_timeline_and_stills(tmp_path):
    film, timeline, *stills = script("editor")(tmp_path, size="64", frames=3)
    opened = open_film(film)
    assert opened.times.fps == Fraction(24000, 1001)
    assert "shot.mov" in timeline.read_text()
    assert [path.name for path in stills] == [f"shot.{number}.png" for number in (86400, 86401, 86402)]
    assert read_png(stills[0].read_bytes()).dtype == np.uint16


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    content = json.loads((SAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in content["cells"] if cell["cell_type"] == "code")
    (tmp_path / "samples").symlink_to(SAMPLES)
    monkeypatch.chdir(tmp_path)
    names, shown = {}, []
    for source in code:
        source = source.replace('SIZE, FRAMES = "192", 16', 'SIZE, FRAMES = "64", 3')
        *body, last = ast.parse(source).body
        value = isinstance(last, ast.Expr)  # as a notebook does: the value of the last line is shown
        exec(compile(ast.Module(body if value else [*body, last], []), "cell", "exec"), names)
        if value:
            result = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            shown += [result] if result is not None else []
            films = getattr(result, "_repr_html_", lambda: None)()
            assert films is None or "data:video/mp4" in films
    assert [type(result).__name__ for result in shown] == ["Morph", "Frame", "Morph"]
    assert len(list(open_film(tmp_path / "notebook.mp4").frames())) == 3


def test_the_manifest_holds_three_clips(tmp_path):
    for path in (*SAMPLES.glob("*.jpg"), SAMPLES / "shots.yaml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "out").mkdir()
    cats, cups, portraits = read_manifest(tmp_path / "shots.yaml")
    assert (cats.length, cats.settings.between) == (94, "dissolve")
    assert [keyframe.at for keyframe in cups.keyframes] == [0, 48, 96]
    assert (cups.keyframes[1].hold, cups.keyframes[1].settings.ease) == (12, "in-out")
    assert portraits.settings.between == "diffusion"
