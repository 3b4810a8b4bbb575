"""Pictures between ComfyUI's floats and levels."""

import numpy as np
import pytest
import torch

from morph.errors import KeyframeError
from pipelines.comfy.pictures import arrays, batch_of, depth_of, fitting, image_of, levels, mask_of


@pytest.mark.parametrize(("dtype", "depth"), [(np.uint8, 8), (np.uint16, 16)])
def test_every_level_comes_back(dtype, depth):
    top = np.iinfo(dtype).max
    every = np.arange(top + 1, dtype=dtype)
    picture = np.resize(every, (256, 260, 3))
    image = image_of(picture)
    assert image.dtype == torch.float32
    assert torch.equal(image, torch.from_numpy(picture.astype(np.float32) / top))  # as LoadImage has it
    assert depth_of(image[None]) == depth
    assert np.array_equal(levels(image, depth), picture)
    assert np.array_equal(arrays(image[None])[0], picture)


def test_each_picture_has_the_bits_that_it_needs():
    fine = torch.full((1, 4, 4, 3), 0.5001)
    plain = torch.ones(1, 4, 4, 3)
    assert [array.dtype for array in arrays(torch.cat([fine, plain]))] == [np.uint16, np.uint8]
    assert arrays(plain * 1.5)[0].max() == 255  # clamped


def test_a_mask_is_what_is_transparent():
    masks = torch.zeros(1, 4, 4)
    masks[0, 0, 0] = 1
    made = arrays(torch.ones(2, 4, 4, 3), masks)
    assert [array.shape for array in made] == [(4, 4, 4)] * 2
    assert made[1][0, 0].tolist() == [255, 255, 255, 0]
    assert made[1][1, 1].tolist() == [255] * 4
    assert torch.equal(mask_of((made[0][..., 3] / 255).astype(np.float32)), masks[0])


def test_the_empty_mask_of_another_size_that_loadimage_gives_is_none():
    assert fitting(torch.zeros(1, 64, 64), torch.ones(1, 8, 8, 3)) is None
    with pytest.raises(KeyframeError, match=r"mask: 1x64x64 for 1 pictures of 8x9"):
        fitting(torch.ones(1, 64, 64), torch.ones(1, 9, 8, 3))


def test_a_batch_is_of_all():
    assert batch_of([np.zeros((2, 3, 3), np.uint8)] * 4).shape == (4, 2, 3, 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.ones(4, 4, 3), "a batch of 4x4x3"),
        (torch.ones(1, 4, 4, 1), "a batch of 1x4x4x1"),
        (torch.ones(0, 4, 4, 3), "a batch of 0x4x4x3"),
        (torch.full((1, 4, 4, 3), torch.nan), "no numbers"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(KeyframeError, match=message):
        arrays(images)
