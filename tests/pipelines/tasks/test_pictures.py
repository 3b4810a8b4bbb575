"""A clip's images as tensors."""

import numpy as np
import torch
from PIL import Image

from morph.diffusion.geometry import Geometry
from morph.media.keyframe import load_keyframe
from morph.scaling import reduced_pixels
from pipelines.request.clip import clip_of
from pipelines.request.plan import Plan
from pipelines.request.settings import Settings, changed
from pipelines.tasks.pictures import Pictures
from tests.conftest import SAMPLES

GEOMETRY = Geometry(factor=8, stride=32, native=64)
PAIR = [SAMPLES / "cat.jpg", SAMPLES / "raccoon-wide.jpg"]


def pictures(images, **values):
    return Pictures(Plan.of(clip_of(images, ["one", "two"], changed(Settings(), values)), lambda: GEOMETRY))


def test_a_keyframe_is_its_file_at_the_size_of_the_frames():
    own = pictures(PAIR, size="150x100", model_size="96x64", fit="pad")
    for number, prompt in ((0, "one"), (1, "two")):
        keyframe, expected = own.keyframe(number), load_keyframe(PAIR[number], prompt, (150, 100), "pad")
        assert torch.equal(keyframe.pixels, expected.pixels)
        assert (keyframe.source, keyframe.prompt, keyframe.alpha) == (PAIR[number], prompt, None)
        assert torch.equal(own.pixels(number), reduced_pixels(expected.pixels, (96, 64)))


def test_colour_goes_on_under_what_is_transparent_where_frames_have_mattes(tmp_path):
    levels = np.zeros((64, 64, 4), np.uint8)
    levels[16:48, 16:48] = (200, 30, 20, 255)
    Image.fromarray(levels).save(tmp_path / "cut.png")
    images = [tmp_path / "cut.png", tmp_path / "cut.png"]
    plain = load_keyframe(images[0], "one", (64, 64))
    cut = pictures(images, size="64").keyframe(0)
    assert torch.equal(cut.pixels, plain.extended().pixels)
    assert np.array_equal(cut.alpha, plain.alpha)
    assert float(cut.pixels[0, 0].min()) > 0 > float(plain.pixels[0, 0].min())  # red all over, not on black
    mixed = pictures([images[0], PAIR[0]], size="64").keyframe(0)
    assert torch.equal(mixed.pixels, plain.pixels)
