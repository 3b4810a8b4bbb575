"""The sample scripts do what they say, on the model of the package, at a tiny size; and shots.yaml can be read."""

import importlib.util
import shutil

import numpy as np
import pytest
from PIL import Image

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
    assert {path.stem for path in SAMPLES.glob("*.py")} == {"two_images", "sequence", "one_stage", "custom_preset"}


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


def test_the_manifest_holds_three_clips(tmp_path):
    for path in (*SAMPLES.glob("*.jpg"), SAMPLES / "shots.yaml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "out").mkdir()
    cats, cups, portraits = read_manifest(tmp_path / "shots.yaml")
    assert (cats.length, cats.settings.between) == (94, "dissolve")
    assert [keyframe.at for keyframe in cups.keyframes] == [0, 48, 96]
    assert (cups.keyframes[1].hold, cups.keyframes[1].settings.ease) == (12, "in-out")
    assert portraits.settings.between == "diffusion"
