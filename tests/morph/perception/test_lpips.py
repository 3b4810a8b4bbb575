import warnings
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from PIL import Image

from morph.perception import lpips as module
from morph.perception.lpips import PerceptualDistance
from morph.perception.trunks import read_trunk

SAMPLES = Path(__file__).parents[3] / "samples"


def photo(name, size=96):
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        pixels = np.array(image.resize((size, size)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def pattern():
    """Two images made of sums and squares of pixel numbers, equal on every machine."""
    y, x, c = torch.meshgrid(torch.arange(64), torch.arange(64), torch.arange(3), indexing="ij")
    a, b = (x * x + 3 * y + 40 * c) % 256, (x * 5 + y * y // 8 + 90 * c) % 256
    return tuple(image.permute(2, 0, 1)[None] / 127.5 - 1 for image in (a, b))


@pytest.fixture(scope="module")
def distance():
    return PerceptualDistance()


@pytest.fixture(scope="module")
def photos():
    return torch.cat([photo(name) for name in ("cat", "raccoon", "hopper", "collins", "coffee")])


def test_value_pinned_with_the_float32_trunk(distance):
    # Computed by the lpips library with the unrounded trunk, which gives the published 0.722 / 0.138 on the
    # images of the LPIPS repository.
    a, b = pattern()
    assert distance(a, b).item() == pytest.approx(0.594263, abs=5e-4)


def test_equals_the_library(distance, photos):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    trunk = read_trunk("alexnet")
    library.net.load_state_dict(trunk)
    with torch.no_grad():
        expected = library(photos[:-1], photos[1:]).flatten()
    torch.testing.assert_close(distance(photos[:-1], photos[1:]), expected, atol=1e-6, rtol=1e-5)


def test_is_a_distance(distance, photos):
    assert distance(photos, photos).tolist() == [0] * 5
    forward, backward = distance(photos[:-1], photos[1:]), distance(photos[1:], photos[:-1])
    torch.testing.assert_close(forward, backward)
    assert (forward > 0.3).all()


def test_a_small_change_is_nearer_than_another_picture(distance, photos):
    nudged = (photos[:1] + 0.02 * torch.sin(torch.arange(96.0))).clamp(-1, 1)
    assert distance(photos[:1], nudged) < 0.1 * distance(photos[:1], photos[1:2])


def test_consecutive_equals_pairs(distance, photos, monkeypatch):
    expected = distance(photos[:-1], photos[1:])
    for batch in (1, 2, 3, 16):
        monkeypatch.setattr(module, "_BATCH", batch)
        torch.testing.assert_close(distance.consecutive(photos), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_consecutive_without_neighbours_is_empty(distance, photos, count):
    assert distance.consecutive(photos[:count]).shape == (0,)


def test_features_of_frames_already_seen_are_reused(distance, photos):
    ends = distance.features(photos[[0, 4]])
    middle = distance.features(photos[2:3])
    row = torch.cat([ends[:1], middle, ends[1:]])
    torch.testing.assert_close(
        distance.between(row[:-1], row[1:]), distance.consecutive(photos[[0, 2, 4]]), atol=1e-6, rtol=1e-5
    )
    torch.testing.assert_close(
        distance.between(middle, ends), distance(photos[[2, 2]], photos[[0, 4]]), atol=1e-6, rtol=1e-5
    )


def test_no_gradient_and_half_precision_input(distance, photos):
    images = photos[:2].to(torch.bfloat16).requires_grad_()
    value = distance(images[:1], images[1:])
    assert value.dtype == torch.float32
    assert not value.requires_grad


@pytest.mark.parametrize(
    "images",
    [
        torch.full((1, 3, 64, 64), 1.5),
        torch.full((1, 3, 64, 64), float("nan")),
        torch.zeros(3, 64, 64),
        torch.zeros(1, 1, 64, 64),
        torch.zeros(1, 3, 64, 16),
    ],
    ids=["range", "nan", "no batch", "grey", "small"],
)
def test_unusable_images(distance, images):
    with pytest.raises(ValueError, match="LPIPS wants"):
        distance.features(images)


def test_making_one_leaves_the_random_stream_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    PerceptualDistance()
    assert torch.equal(torch.rand(3), expected)
