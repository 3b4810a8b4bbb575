"""A clip worked out: what it says, and what it does not do again."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morph.diffusion.geometry import Geometry
from morph.errors import KeyframeError, ModelError
from morph.media.image import read_image
from pipelines.request.clip import clip_of
from pipelines.request.edits.edit import Edit
from pipelines.request.lora_file import LoraFile
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES

GEOMETRY = Geometry(factor=8, stride=32, native=256)
PAIR = (SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg")


def plan(images=PAIR, **values):
    return Plan.of(clip_of(images, (), changed(Settings(), values)), lambda: GEOMETRY)


def cut(path, alpha):
    """A picture of which the left half is transparent, or nothing."""
    levels = np.full((96, 96, 4), 200, np.uint8)
    levels[:, :48, 3] = alpha
    levels[..., 3][:, 48:] = 255
    Image.fromarray(levels).save(path)
    return path


def test_a_plan_has_all_that_follows_from_settings_and_images():
    made = plan(frames=10, size="128x96", **{"lora.steps": 0})
    assert made.sizes.frame == (128, 96)
    assert [way.steps for way in made.ways] == [9]
    assert made.timing.length == 10
    assert not made.transparent
    assert made.points == (None,)
    assert made.notices == ()
    assert set(made.forwards) == {"invert", "survey", "capture ends", "render"}
    assert made.disk > 10 * 128 * 96 * 3


def test_a_mask_of_other_proportions_is_told_of_and_one_that_is_no_picture_refused(tmp_path):
    mask = tmp_path / "mask.png"
    Image.new("L", (80, 40), 255).save(mask)
    clip = clip_of(PAIR, (), changed(Settings(), {"size": "64"}))
    edited = replace(clip.keyframes[0], edits=(Edit.of({"how": "sdedit", "mask": str(mask)}),))
    clip = replace(clip, keyframes=(edited, *clip.keyframes[1:]))
    (told,) = Plan.of(clip, lambda: GEOMETRY).notices
    assert "80x40 has other proportions than the picture, 384x384" in told
    mask.write_text("no picture")
    referring = replace(clip.keyframes[0], edits=(Edit.of({"how": "ilvr", "reference": str(mask)}),))
    for keyframe in (edited, referring):
        with pytest.raises(KeyframeError, match="not a PNG"):
            Plan.of(replace(clip, keyframes=(keyframe, *clip.keyframes[1:])), lambda: GEOMETRY)


def test_images_are_not_read_again_once_a_clip_is_planned(tmp_path):
    copies = [tmp_path / one.name for one in PAIR]
    for copy, one in zip(copies, PAIR, strict=True):
        copy.write_bytes(one.read_bytes())
    made = plan(copies, size="image")
    expected = read_image(PAIR[0]).pixels
    for copy in copies:
        copy.unlink()
    assert np.array_equal(made.picture(0).pixels, expected)
    assert made.picture(1).pixels.shape == expected.shape


def test_plans_of_the_same_are_one_to_whoever_keeps_them():
    made = plan()
    travelled = pickle.loads(pickle.dumps(made))
    assert travelled == made
    assert hash(travelled) == hash(made)
    assert np.array_equal(travelled.picture(0).pixels, made.picture(0).pixels)  # read again, there
    assert plan(frames=9) != made


@pytest.mark.parametrize(("second", "transparent"), [(0, True), (255, False)])
def test_frames_are_transparent_where_all_images_are(tmp_path, second, transparent):
    images = [cut(tmp_path / "a.png", 0), cut(tmp_path / "b.png", second)]
    made = plan(images)
    assert made.transparent is transparent
    black = f"{images[0]}: transparent parts are laid on black"
    assert made.notices == (() if transparent else (black,))


def test_a_matte_that_is_cut_away_is_none(tmp_path):
    images = [cut(tmp_path / name, 0) for name in ("a.png", "b.png")]
    levels = np.array(Image.open(images[0]))
    levels[..., 3] = 255
    levels[:8, :, 3] = 0  # above what a wide frame shows
    Image.fromarray(levels).save(images[0])
    assert not plan(images, size="192x96").transparent
    assert plan(images, size="96").transparent


def test_a_picture_that_is_none_is_refused_before_a_model_is_looked_for(tmp_path):
    (tmp_path / "b.png").write_text("no picture")

    def nowhere():
        raise ModelError("there is no such model")

    with pytest.raises(KeyframeError, match=r"b\.png: not a PNG"):
        Plan.of(clip_of([PAIR[0], tmp_path / "b.png"], (), Settings()), nowhere)
    with pytest.raises(ModelError):
        Plan.of(clip_of(PAIR, (), Settings()), nowhere)


def test_points_are_of_pixels_of_frames(tmp_path):
    (tmp_path / "points.csv").write_text("0,0,383,383\n")
    values = {"align.points": str(tmp_path / "points.csv"), "size": "192"}
    made = Plan.of(clip_of(PAIR, (), changed(load_preset("default"), values)), lambda: GEOMETRY)
    (points,) = made.points
    assert points.shape == (1, 4)
    assert points[0] == pytest.approx([-0.25, -0.25, 191.25, 191.25])


def test_a_plan_keeps_within_what_its_model_can_paint_away():
    def made(preset, **values):
        weak = replace(GEOMETRY, most_noise=0.2)
        return Plan.of(clip_of(PAIR, (), changed(load_preset(preset), {"size": 64, **values})), lambda: weak)

    limited = made("wang2023")
    assert limited.clip.settings.anchors.noise_first == limited.ways[0].settings.anchors.noise_first == 0.2
    assert [level.steps for level in limited.ways[0].anchors] == [40, 33, 27, 21]
    assert any("paints no more than 0.2 back" in notice for notice in limited.notices)
    assert sum(limited.forwards.values()) < sum(
        made("wang2023", **{"anchors.limit_noise": False}).forwards.values()
    )
    assert made("warp").notices == made("default").notices == ()


def test_what_does_nothing_is_among_the_notices():
    settings = changed(load_preset("default"), {"inversion": "uni-inv", "size": "64", "frames": 3})
    clip = clip_of([SAMPLES / name for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")], (), settings)
    told = [one for one in Plan.of(clip, lambda: GEOMETRY).notices if "inversion=uni-inv" in one]
    assert len(told) == 1


def test_a_keyframe_edited_without_its_own_loras_is_told_of():
    clip = clip_of(PAIR, (), Settings())
    edits, loras = (Edit.of({"how": "sdedit"}),), (LoraFile(Path("a.safetensors")),)
    first, last = clip.keyframes
    for more, told in (
        ({}, 0),
        ({"edits": edits}, 0),
        ({"loras": loras}, 0),
        ({"edits": edits, "loras": loras}, 1),
    ):
        made = Plan.of(replace(clip, keyframes=(first, replace(last, **more))), lambda: GEOMETRY)
        assert ["keyframe 2 is edited without its own LoRAs" in line for line in made.notices] == [True] * told
