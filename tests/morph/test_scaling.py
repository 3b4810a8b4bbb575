"""Pictures at another size."""

import numpy as np
import pytest
import torch

from morph.scaling import enlarged, reduced, reduced_pixels, size_of


@pytest.fixture
def picture():
    """A smooth picture with some noise, uint8 (60,80,3)."""
    rows, columns = np.mgrid[:60, :80]
    waves = 128 + 60 * (np.sin(rows / 9) * np.cos(columns / 11))[..., None]
    return np.clip(waves + np.random.default_rng(0).normal(0, 4, (60, 80, 3)), 0, 255).astype(np.uint8)


def test_pictures_that_have_the_size_are_left_alone(picture):
    pixels = torch.zeros(1, 3, 60, 80)
    assert reduced(picture, (80, 60)) is picture
    assert reduced_pixels(pixels, (80, 60)) is pixels
    assert enlarged(pixels, (80, 60)) is pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_smaller_pixel_is_the_mean_of_those_it_covers(picture, dtype):
    picture = picture.astype(dtype) * (257 if dtype == np.uint16 else 1)
    small = reduced(picture, (20, 15))
    assert small.dtype == dtype
    assert np.abs(small - picture.reshape(15, 4, 20, 4, 3).mean((1, 3))).max() <= 0.5
    pixels = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    assert size_of(reduced_pixels(pixels, (20, 15))) == (20, 15)
    assert torch.allclose(reduced_pixels(pixels, (20, 15)), pixels.unfold(2, 4, 4).unfold(3, 4, 4).mean((4, 5)))


@pytest.mark.parametrize("size", [(96, 32), (32, 96), (96, 96)])
def test_where_a_side_grows_nothing_stands_out(picture, size):
    resized = reduced(picture, size)
    assert resized.shape == (size[1], size[0], 3)
    assert picture.min() <= resized.min() <= resized.max() <= picture.max()


def test_what_is_enlarged_and_reduced_again_is_nearly_the_same():
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    pixels = ((rows / 5).sin() * (columns / 7).cos()).expand(1, 3, -1, -1)
    large = enlarged(pixels, (256, 192))
    assert size_of(large) == (256, 192)
    error = (reduced_pixels(large, (64, 48)) - pixels).square().mean().sqrt()
    assert error < 0.01
    assert size_of(enlarged(pixels, (32, 96))) == (32, 96)
