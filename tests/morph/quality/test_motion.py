import numpy as np
import pytest
import torch

from morph.quality.motion import motion
from tests.benchmarks.motion import camera, fade, measured, still, thing

FRAMES, SIZE = 9, 128
UNLIKE = (
    ("cat", "raccoon"),
    ("hopper", "collins"),
    ("coffee", "retina"),
    ("cat", "coffee"),
    ("rocket", "hopper"),
    ("collins", "raccoon"),
)
PHOTOS = ("cat", "hopper", "rocket")


def faded(a, b, frames=FRAMES, size=SIZE):
    return fade(still(a, size), still(b, size), frames)


@pytest.mark.parametrize(("a", "b"), UNLIKE)
@pytest.mark.parametrize("frames", [3, 9])
def test_a_cross_fade_is_no_motion(a, b, frames):
    assert measured(faded(a, b, frames)) < 0.12


def test_nor_is_a_long_one():
    assert measured(faded("coffee", "retina", 24)) < 0.12


@pytest.mark.parametrize("timing", [2, 0.5])
def test_nor_is_one_that_is_timed_unevenly(timing):
    first, second = still("cat", SIZE), still("raccoon", SIZE)
    weights = np.linspace(0, 1, FRAMES, dtype="f4")[:, None, None, None] ** timing
    assert measured(first + weights * (second - first)) < 0.12


@pytest.mark.parametrize("move", ["pan", "zoom", "rotate"])
@pytest.mark.parametrize("far", [8, 64])
@pytest.mark.parametrize("name", PHOTOS)
def test_a_moving_camera_is_all_motion(name, move, far):
    assert measured(camera(name, move, far, FRAMES, SIZE)) > 0.85


@pytest.mark.parametrize("far", [8, 64])
@pytest.mark.parametrize(("front", "back"), [("cat", "coffee"), ("hopper", "raccoon"), ("raccoon", "hopper")])
def test_one_thing_that_moves_is_nearly_all_motion(front, back, far):
    assert measured(thing(front, back, far, FRAMES, SIZE)) > 0.8


@pytest.mark.parametrize("frames", [5, 17, 33])
def test_the_same_pan_counts_alike_however_many_frames_it_takes(frames):
    assert measured(camera("cat", "pan", 24, frames, SIZE)) > 0.92


@pytest.mark.parametrize("size", [64, 128, 320])
def test_it_does_not_depend_on_the_size(size):
    assert measured(camera("hopper", "pan", 24, FRAMES, size)) > 0.9
    assert measured(thing("cat", "coffee", 24, FRAMES, size)) > 0.8
    assert measured(faded("cat", "coffee", size=size)) < 0.12


@pytest.mark.parametrize("name", PHOTOS)
def test_light_noise_and_cuts_are_no_motion(name):
    photo = still(name, SIZE)
    noise = 8 * np.random.default_rng(0).standard_normal((FRAMES, SIZE, SIZE, 3), np.float32)
    other = still("retina", SIZE)
    assert measured(fade(photo, photo / 3, FRAMES)) < 0.15
    assert measured(photo + noise) < 0.05
    assert measured(np.stack([photo] * 4 + [other] * 5)) < 0.2


def test_noise_does_not_hide_motion():
    noise = 4 * np.random.default_rng(0).standard_normal((FRAMES, SIZE, SIZE, 3), np.float32)
    assert measured(camera("coffee", "pan", 64, FRAMES, SIZE) + noise) > 0.6


@pytest.mark.parametrize(("a", "b"), [("cat", "raccoon"), ("hopper", "collins"), ("cat", "coffee")])
def test_it_rises_with_the_share_of_what_moves(a, b):
    moves, fades = camera(a, "pan", 64, FRAMES, SIZE), faded(a, b)
    shares = [measured(share * moves + (1 - share) * fades) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert shares == sorted(shares)
    assert 0.15 < shares[2] < 0.7


def test_what_stands_still_counts_for_nothing():
    clip = camera("cat", "pan", 64, FRAMES, SIZE)
    wide = np.concatenate([clip, np.repeat(clip[:1], FRAMES, 0)], axis=2)
    assert measured(wide) == pytest.approx(measured(clip), abs=0.1)


def test_there_may_be_nothing_to_explain():
    clip = camera("cat", "pan", 64, 2, SIZE)
    assert measured(clip) is None
    assert measured(np.repeat(clip[:1], 5, 0)) is None
    assert motion(torch.zeros(0, 3, 64, 64)) is None


def test_frames_that_only_blink_are_measured_between_all_of_them():
    photo = still("cat", SIZE)
    blinking = np.stack([photo, photo / 2] * 4)
    assert measured(blinking) < 0.15
