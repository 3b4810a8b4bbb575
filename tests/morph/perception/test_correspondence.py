"""The field between two pictures: what it promises of any pair, and how well it finds fields that are known."""

import pytest
import torch
from torch.nn import functional as F

from morph.perception.correspondence import find
from morph.perception.dense import AlexNet, Vgg16
from morph.perception.lpips import PerceptualDistance
from morph.perception.smooth import LEAST
from tests.benchmarks.registration import NAMES, measured, portraits, sample

SIDE = 96


@pytest.fixture(scope="module")
def look():
    return AlexNet(PerceptualDistance())


@pytest.fixture(scope="module")
def pictures():
    return sample("red-panda", SIDE), sample("raccoon-wide", SIDE)


@pytest.fixture(scope="module")
def correspondence(look, pictures):
    return find(*pictures, look)


def test_the_pictures_swapped_have_the_negative_field_bit_for_bit(look, pictures, correspondence):
    swapped = find(*pictures[::-1], look)
    assert torch.equal(swapped.warp.control, -correspondence.warp.control)
    assert torch.equal(swapped.warp.trust, correspondence.warp.trust)
    assert (swapped.before, swapped.after) == (correspondence.before, correspondence.after)


def test_the_same_pictures_have_the_same_field(look, pictures, correspondence):
    assert torch.equal(find(*pictures, look).warp.control, correspondence.warp.control)


def test_a_field_brings_unlike_pictures_nearer_and_does_not_fold(correspondence):
    assert correspondence.after < correspondence.before
    assert correspondence.warp.control.abs().max() > 0.02
    assert correspondence.warp.least_area() > LEAST
    assert 0 <= correspondence.warp.trust.min() <= correspondence.warp.trust.max() <= 1
    assert 0 < correspondence.matched < 1


def test_a_picture_lies_on_itself(look, pictures):
    still = find(pictures[0], pictures[0], look)
    assert still.warp.control.abs().max() < 1e-3
    assert still.matched > 0.95
    assert not still.mirrored


@pytest.mark.parametrize("size", [(64, 160), (160, 64), (97, 81)])
def test_a_move_is_found_whatever_the_shape(look, size):
    width, height = size
    picture = F.interpolate(sample("raccoon-wide", 200), size=(height, width), mode="bicubic").clamp(-1, 1)
    step = min(size) // 10
    second = picture.roll(step, 3)
    second[..., :step] = picture[..., :1]
    warp = find(picture, second, look).warp
    displacement = warp.pixels(0.0, size)[1] - warp.pixels(0.0, size)[0]
    median = displacement[height // 4 : -height // 4, width // 4 : -width // 4].flatten(0, 1).median(0).values
    assert median.tolist() == pytest.approx([step, 0], abs=0.15 * step)


def test_points_are_obeyed_and_hold_nothing_else_down(look, pictures, correspondence):
    points = torch.tensor([[20.0, 30.0, 34.0, 40.0], [70.0, 60.0, 62.0, 71.0]])
    warp = find(*pictures, look, points).warp
    second = warp.pixels(0.0, (SIDE, SIDE))[1]
    for xa, ya, xb, yb in points.int().tolist():
        assert second[ya, xa].tolist() == pytest.approx([xb, yb], abs=1)
    assert warp.least_area() > LEAST
    assert not torch.equal(warp.control, correspondence.warp.control)


def test_points_that_contradict_each_other_still_make_a_field_without_folds(look, pictures):
    points = torch.tensor([[20.0, 48.0, 70.0, 48.0], [70.0, 48.0, 20.0, 48.0], [20.0, 48.0, 20.0, 20.0]])
    assert find(*pictures, look, points).warp.least_area() > LEAST


def test_pictures_of_one_colour_each_have_a_field_too():
    black, white = (torch.full((1, 3, 96, 96), level) for level in (-1.0, 1.0))
    assert find(black, white, Vgg16()).warp.least_area() > LEAST


def test_a_mirrored_picture_is_told(look):
    picture = sample("rocket", SIDE)
    assert find(picture, picture.flip(3), look).mirrored


@pytest.mark.slow
def test_known_warps_of_photographs_are_found():
    pictures = (sample(name) for name in NAMES if name != "rocket")  # there is nothing to see in most of its sky
    _, lengths, errors, _ = measured(Vgg16(), pictures)
    assert lengths.median() > 4
    assert errors.median() <= 1
    assert errors.quantile(0.95) <= 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:SymbolDatabase:UserWarning")
def test_landmarks_of_portraits_lie_near_each_other():
    pytest.importorskip("mediapipe")
    assert portraits(Vgg16())[1] <= 2.5


def test_things_that_are_twice_as_large_are_found_as_large():
    picture = sample("coffee", 256)
    near = F.interpolate(picture[:, :, 64:-64, 64:-64], size=(256, 256), mode="bicubic").clamp(-1, 1)
    found = find(picture, near, Vgg16())
    assert 1.7 < found.ratio < 2.3
    assert find(near, picture, Vgg16()).ratio == pytest.approx(1 / found.ratio)
    y, x = torch.meshgrid(*[torch.linspace(-0.4, 0.4, 9)] * 2, indexing="ij")
    halfway = torch.stack([x, y], -1).reshape(-1, 2) * 1.5  # between a place and the one twice as far out
    error = (found.warp.at(halfway) - halfway / 3).norm(dim=1)  # in sides of the picture, since both ends move
    assert error.median() < 0.005
    assert error.quantile(0.95) < 0.02


def test_a_face_that_is_three_times_as_large_elsewhere_is_found():
    warp = find(sample("hopper", 256), sample("cat", 256), Vgg16()).warp
    eyes_and_nose = torch.tensor([[111, 93], [154, 92], [131, 113]])  # read off the pictures, x and y
    wanted = torch.tensor([[64.0, 99.0], [189.0, 116.0], [141.0, 205.0]])
    found = warp.pixels(0.0, (256, 256))[1][eyes_and_nose[:, 1], eyes_and_nose[:, 0]]
    assert (found - wanted).norm(dim=1).max() < 36  # with sizes left as they are, 74
