"""Where a part of one picture is found in another, in features whose place and size are known."""

import pytest
import torch
from torch.nn import functional as F

from morph.blending.warp import extent_of
from morph.perception.placement import RATIOS, RUNG, Placement


def features(size, ratio, shift):
    """Smooth random features of a picture, and of one whose place ratio p + shift is the first one's p."""
    extent = torch.tensor(extent_of(size))
    world = torch.randn(1, 32, 40, 40, generator=torch.Generator().manual_seed(0))
    height, width = size[1] // 4, size[0] // 4
    y, x = torch.meshgrid(
        ((torch.arange(height) + 0.5) / height * 2 - 1) * extent[1],
        ((torch.arange(width) + 0.5) / width * 2 - 1) * extent[0],
        indexing="ij",
    )
    places = torch.stack([x, y], -1)
    seen = [
        F.grid_sample(world, at[None] / 4, mode="bicubic", align_corners=False)
        for at in (places, (places - torch.tensor(shift)) / ratio)
    ]
    return torch.cat(seen)


@pytest.mark.parametrize("size", [(128, 128), (192, 96)])
@pytest.mark.parametrize("ratio", [1 / RUNG, RUNG])
def test_a_part_is_found_where_it_is_and_as_large(size, ratio):
    shift, extent = (0.3, -0.2), extent_of(size)
    both = features(size, ratio, shift)
    found = Placement.of(both, ratio, extent)
    starts, ends = found.places.at - found.places.field, found.places.at + found.places.field
    assert len(starts) > 20
    # as near as the shifts that are tried lie to each other
    assert (ends - (ratio * starts + torch.tensor(shift))).abs().max() < 0.1 * (1 + ratio) * max(extent)
    others = [Placement.of(both, other, extent).score for other in RATIOS if other != ratio]
    assert found.score > 1.4 * max(others)


def test_of_pictures_that_have_nothing_in_common_none_stands_out():
    noise = torch.randn(2, 32, 32, 32, generator=torch.Generator().manual_seed(1))
    assert (
        Placement.of(noise, RUNG, (1.0, 1.0)).score
        < 0.25 * Placement.of(features((128, 128), RUNG, (0.0, 0.0)), RUNG, (1.0, 1.0)).score
    )
