"""Clips whose keyframes are all transparent somewhere: no ground shows."""

import numpy as np
import pytest
from PIL import Image

from morph.media.frame import to_rgb8
from morph.media.keyframe import load_keyframe, to_uint8
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import render

SIZE = 64
RED = (200, 30, 20)
SETTINGS = changed(load_preset("default"), {"size": str(SIZE), "frames": 5, "steps": 10, "lora.steps": 20})


def cut(path, picture, x, y, radius=14):
    """A picture of which a disc is left."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inside = (radius - np.hypot(columns - x, rows - y) + 0.5).clip(0, 1)
    picture = picture.convert("RGB").resize((SIZE, SIZE))
    picture.putalpha(Image.fromarray(np.rint(inside * 255).astype(np.uint8)))
    picture.save(path)
    return path


@pytest.fixture
def discs(tmp_path):
    red = Image.new("RGB", (SIZE, SIZE), RED)
    return [cut(tmp_path / "a.png", red, 20, 22), cut(tmp_path / "b.png", red, 44, 40)]


@pytest.mark.slow
def test_two_discs_of_one_colour_stay_that_colour(embedded, discs, tmp_path):
    frames = list(render(embedded, clip_of(discs, (), SETTINGS), tmp_path / "work"))
    assert len(frames) == 5
    for frame in frames:
        opaque = frame.matte > 0.5
        assert 500 < opaque.sum() < 750  # a disc of radius 14 has 616 pixels
        assert np.abs(frame.rgba[opaque][:, :3].astype(int) - RED).max() <= 24
    halfway = frames[2].matte
    assert halfway[31, 32] == 1
    # what is seen moves, so distances are those of frames on black, not of colours
    assert min(frame.distance for frame in frames[1:]) > 0.01


def test_the_ends_laid_on_black_are_the_keyframes(model, tmp_path):
    photographs = [Image.open(SAMPLES / name) for name in ("cat.jpg", "raccoon.jpg")]
    paths = [cut(tmp_path / f"{at}.png", picture, 20 + 20 * at, 30) for at, picture in enumerate(photographs)]
    quick = changed(SETTINGS, {"steps": 3, "lora.steps": 0, "frames": 3})
    frames = list(render(model, clip_of(paths, (), quick), tmp_path / "work"))
    for frame, path in ((frames[0], paths[0]), (frames[-1], paths[1])):
        keyframe = load_keyframe(path, "", (SIZE, SIZE))
        expected = to_uint8(keyframe.pixels)[0]
        assert np.array_equal(frame.pixels, expected)
        assert np.array_equal(frame.written(alpha=False), expected)
        assert np.array_equal(to_rgb8(frame.written(alpha=True)), expected)
        assert np.array_equal(frame.rgba[..., 3], keyframe.alpha)
    # where one keyframe is opaque, so is the clip
    mixed = list(render(model, clip_of([paths[0], SAMPLES / "raccoon.jpg"], (), quick), tmp_path / "mixed"))
    assert [frame.matte for frame in mixed] == [None] * 3
    assert np.array_equal(mixed[0].pixels, to_uint8(load_keyframe(paths[0], "", (SIZE, SIZE)).pixels)[0])
