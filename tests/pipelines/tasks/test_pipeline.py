"""The pipeline as a Python object: pictures of any kind in, frames out, and whoever waits is told."""

import tempfile

import cv2
import numpy as np
import pytest
from PIL import Image

from morph.errors import KeyframeError
from morph.perception.lpips import PerceptualDistance
from pipelines import MorphPipeline
from tests.conftest import SAMPLES

QUICK = {"preset": "diffmorpher", "size": "64", "frames": 3, "steps": 4, "pacing": "uniform", "lora.steps": 0}


@pytest.fixture(scope="module")
def pipeline(embedded):
    return MorphPipeline(embedded, PerceptualDistance())


@pytest.fixture(scope="module")
def small(noise_model):
    return MorphPipeline(noise_model, PerceptualDistance())


def picture(channels, dtype, seed):
    """Levels (64,64,channels) of smooth noise; the last of four, its alpha, is nothing on the left."""
    coarse = np.random.default_rng(seed).random((8, 8, channels))
    levels = np.stack([cv2.resize(plane, (64, 64)) for plane in np.moveaxis(coarse, 2, 0)], 2)
    if channels == 4:
        levels[..., 3] = np.linspace(-1, 2, 64).clip(0, 1)
    return np.rint(levels * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.slow
def test_the_python_interface_gives_the_same_frames_twice(pipeline):
    settings = {"size": "64", "frames": 5, "steps": 6, "lora.steps": 4, "seed": 3}
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    heard = []
    runs = [
        list(pipeline(images, ["a cat", "a raccoon"], callback=lambda *told: heard.append(told), **settings))
        for _ in range(2)
    ]
    for first, second in zip(*runs, strict=True):
        assert np.array_equal(first.pixels, second.pixels)
        assert first.alpha == second.alpha
    assert runs[0][2].image.size == (64, 64)
    assert {stage for stage, *_ in heard} == {"fit LoRA", "invert", "render"}


@pytest.mark.parametrize(
    ("kind", "channels", "dtype"),
    [
        ("pillow", 3, np.uint8),  # Pillow has no colours of 16 bits
        ("pillow", 4, np.uint8),
        *[("array", channels, dtype) for channels in (3, 4) for dtype in (np.uint8, np.uint16)],
    ],
)
def test_pictures_in_memory_are_the_same_as_in_files(small, tmp_path, kind, channels, dtype):
    levels = [picture(channels, dtype, seed) for seed in (0, 1)]
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for one, file in zip(levels, files, strict=True):
        cv2.imwrite(str(file), one[..., [2, 1, 0, 3][:channels]])
    if kind == "pillow":
        levels = [Image.fromarray(one) for one in levels]
    settings = QUICK | {"depth": np.iinfo(dtype).bits}
    made, expected = list(small(levels, **settings)), list(small(files, **settings))
    assert len(made) == 3
    for one, other in zip(made, expected, strict=True):
        assert one.colour.dtype == dtype
        assert np.array_equal(one.colour, other.colour)
        assert np.array_equal(one.written(transparent=channels == 4), other.written(transparent=channels == 4))
    assert not np.array_equal(made[0].colour, made[2].colour)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((64, 64, 3)), r"image-2: an array of float64 \(64, 64, 3\)"),
        (np.zeros((64, 64), np.uint8), r"image-2: an array of uint8 \(64, 64\)"),
        (np.zeros((64, 64, 2), np.uint8), r"image-2: an array of uint8 \(64, 64, 2\)"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_at_once(small, wrong, said):
    with pytest.raises(KeyframeError, match=said + r": give \(H,W,3\) or \(H,W,4\) of uint8 or uint16") as caught:
        small([picture(3, np.uint8, 0), wrong], **QUICK)
    assert "\n" not in str(caught.value)


def test_a_callback_is_told_how_far_every_stage_has_come(small):
    heard = []
    frames = small([SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"], callback=lambda *one: heard.append(one), **QUICK)
    assert heard == []  # nothing is made before somebody asks
    assert len(list(frames)) == 3
    assert {stage for stage, _, _, _ in heard} == {"invert", "capture ends", "render"}
    for stage in ("invert", "capture ends", "render"):
        steps = [(step, of) for name, step, of, _ in heard if name == stage]
        assert steps == sorted(steps)
        assert all(0 < step <= of for step, of in steps)
        assert steps[-1][0] == steps[-1][1]  # what was planned is what it took


@pytest.mark.parametrize("closed", [False, True])
def test_nothing_is_left_behind(small, tmp_path, monkeypatch, closed):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    frames = small([SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"], **QUICK)
    next(frames)
    assert len(list(tmp_path.iterdir())) == 1
    if closed:
        frames.close()
    else:
        assert len(list(frames)) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_pillow_image_becomes_colours_or_is_refused(small):
    for mode in ("F", "I"):
        with pytest.raises(KeyframeError, match=f"image-1: a Pillow image of mode {mode}: convert it to RGB"):
            small([Image.new(mode, (64, 64)), Image.new("RGB", (64, 64))], **QUICK)
    inks, see_through = Image.new("CMYK", (64, 64), (255, 0, 0, 0)), Image.new("La", (64, 64), (60, 120))
    first, *_ = small([inks, see_through], **QUICK | {"preset": "warp", "align.on": False, "lora.steps": 0})
    assert first.pixels[0, 0].tolist() == list(inks.convert("RGB").getpixel((0, 0)))
