"""Landmarks of people in real photographs, of whom they are taken, and what they do to a match."""

import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
from torch.nn import functional as F

from morph.blending.warp import extent_of
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe
from morph.perception import landmarks
from morph.perception.correspondence import find
from morph.perception.dense import AlexNet
from morph.perception.landmarks import installed, shared_landmarks
from morph.perception.lpips import PerceptualDistance
from tests.conftest import SAMPLES

SIDE = 384
IRISES = {468: ((0.43, 0.37), (0.43, 0.36)), 473: ((0.59, 0.365), (0.60, 0.37))}
"""Landmarks of the mesh: where they are in Hopper and in Collins, read off with a grid, as shares of the side."""


def photograph(name):
    return load_keyframe(SAMPLES / f"{name}.jpg", "", (SIDE, SIDE), "crop").pixels


def test_faces_and_shoulders_are_found_where_they_are(capfd):
    pairs = shared_landmarks(photograph("hopper"), photograph("collins"))
    assert pairs is not None
    assert len(pairs) == 478 + 2  # the body's own head is left out
    for number, places in IRISES.items():
        expected = torch.tensor([SIDE * share for place in places for share in place])
        torch.testing.assert_close(pairs.points[number], expected, atol=0.02 * SIDE, rtol=0)
    assert float(pairs.weight[:478].sum()) == pytest.approx(1)
    assert float(pairs.weight[478:].sum()) == pytest.approx(2 / 33)
    assert capfd.readouterr() == ("", "")


def test_the_pictures_swapped_have_the_same_landmarks():
    pictures = photograph("hopper"), photograph("collins")
    forward, backward = shared_landmarks(*pictures), shared_landmarks(*pictures[::-1])
    assert forward is not None
    assert backward is not None
    assert torch.equal(forward.swapped().points, backward.points)
    assert torch.equal(forward.weight, backward.weight)


@pytest.mark.parametrize(
    "names", [("cat", "raccoon"), ("red-panda", "cat"), ("hopper", "cat"), ("red-panda", "collins")]
)
def test_animals_have_none(names):
    assert shared_landmarks(*map(photograph, names)) is None


def test_two_people_in_a_picture_are_nobodys_match():
    hopper, collins = photograph("hopper"), photograph("collins")
    side_by_side = F.interpolate(
        torch.cat([hopper, collins], 3), size=(SIDE, SIDE), mode="bilinear", align_corners=False
    )
    assert shared_landmarks(hopper, side_by_side) is None


def test_what_lies_otherwise_is_not_taken():
    hopper = photograph("hopper")
    assert shared_landmarks(hopper, hopper.flip(2)) is None


@pytest.mark.slow
def test_landmarks_draw_a_match_to_them():
    pictures, look = (photograph("hopper"), photograph("collins")), AlexNet(PerceptualDistance())
    pairs = shared_landmarks(*pictures)
    assert pairs is not None
    without, helped = find(*pictures, look), find(*pictures, look, landmarks=pairs)
    assert (without.landmarks, helped.landmarks) == (0, len(pairs))
    # v is half of the way between the two places, and stands in their middle
    extent = torch.tensor(extent_of((SIDE, SIDE)))
    first, second = ((part + 0.5) / SIDE * 2 * extent - extent for part in pairs.points.split(2, 1))
    before, after = (
        float((correspondence.warp.at((first + second) / 2) - (second - first) / 2).norm(dim=1).mean())
        for correspondence in (without, helped)
    )
    assert after < 0.6 * before  # both in shares of the side
    assert after < 0.01
    assert helped.warp.least_area() > 0.1
    swapped = find(*pictures[::-1], look, landmarks=pairs.swapped())
    assert torch.equal(swapped.warp.control, -helped.warp.control)


def test_its_version_says_that_it_is_installed(monkeypatch):
    assert installed() == version("mediapipe")

    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(landmarks, "distribution", nothing)
    installed.cache_clear()
    try:
        assert installed() is None
    finally:
        installed.cache_clear()


def test_a_mediapipe_that_cannot_be_used_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ModelError, match=r"landmarks=off"):
        shared_landmarks(photograph("hopper"), photograph("collins"))
