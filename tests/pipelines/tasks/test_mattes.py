"""Clips whose keyframes are all transparent somewhere: no ground shows."""

import numpy as np
import pytest
from PIL import Image

from morph.blending.matte import on_black
from morph.media.frame import to_rgb8
from morph.media.keyframe import load_keyframe, to_uint8
from pipelines.request.clip import clip_of
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.tasks.mattes import Mattes
from tests.conftest import SAMPLES
from tests.pipelines.conftest import render

SIZE = 64
RED = (200, 30, 20)
SETTINGS = changed(load_preset("default"), {"size": str(SIZE), "frames": 5, "steps": 10, "lora.steps": 20})
QUICK = changed(SETTINGS, {"align.features": "alexnet", "steps": 3, "lora.steps": 0, "frames": 3})


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
    frames = list(render(model, clip_of(paths, (), QUICK), tmp_path / "work"))
    for frame, path in ((frames[0], paths[0]), (frames[-1], paths[1])):
        keyframe = load_keyframe(path, "", (SIZE, SIZE))
        expected = to_uint8(keyframe.pixels)[0]
        assert np.array_equal(frame.pixels, expected)
        assert np.array_equal(frame.written(transparent=False), expected)
        assert np.array_equal(to_rgb8(frame.written(transparent=True)), expected)
        assert np.array_equal(frame.rgba[..., 3], keyframe.alpha)
    # where one keyframe is opaque, so is the clip
    mixed = list(render(model, clip_of([paths[0], SAMPLES / "raccoon.jpg"], (), QUICK), tmp_path / "mixed"))
    assert [frame.matte for frame in mixed] == [None] * 3
    assert np.array_equal(mixed[0].pixels, to_uint8(load_keyframe(paths[0], "", (SIZE, SIZE)).pixels)[0])


def test_mattes_of_a_clip_are_its_keyframes_where_these_stand(noise_model, discs):
    loop = clip_of(discs, (), changed(SETTINGS, {"repeat": "loop"}))
    mattes = Mattes.of(Plan.of(loop, lambda: noise_model.geometry))
    own = [np.array(Image.open(disc))[..., 3] for disc in discs]
    for alpha, expected in ((0, own[0]), (1 / 2, own[1]), (1, own[0])):
        assert np.array_equal(np.rint(mattes.at(alpha) * 255), expected)
    quarter = mattes.at(0.25)
    rows, columns = np.nonzero(quarter > 0.5)
    assert (columns.mean(), rows.mean()) == pytest.approx((32, 31), abs=1)
    assert quarter.sum() == pytest.approx(own[0].sum() / 255, rel=0.1)
    frame = np.full((32, 32, 3), 200, np.uint8)  # smaller than the matte
    shown = mattes.seen(0)(0.5, frame)
    assert (shown[0, 0].tolist(), shown[15, 15].tolist()) == ([0, 0, 0], [200, 200, 200])
    whole = np.full((SIZE, SIZE, 3), 200, np.uint8)
    assert np.array_equal(mattes.seen(1)(0.0, whole), on_black(whole, own[1] / np.float32(255)))


def test_a_clip_with_an_opaque_image_has_no_mattes(noise_model, discs):
    mixed = clip_of([discs[0], SAMPLES / "cat.jpg"], (), SETTINGS)
    assert Mattes.of(Plan.of(mixed, lambda: noise_model.geometry)) is None
