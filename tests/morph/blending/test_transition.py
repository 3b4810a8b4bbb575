"""When each place turns from the one picture into the other."""

from dataclasses import replace

import pytest
import torch

from morph.blending.transition import Transition
from morph.blending.warp import Warp

SIZE = (96, 64)
ALPHAS = (0.2, 0.35, 0.5, 0.65, 0.8)
LEFT, RIGHT = (..., slice(24, 40), slice(16, 24)), (..., slice(24, 40), slice(72, 80))


@pytest.fixture
def pictures():
    """Two plain pictures, the first with stripes to the left, the second with some to the right."""
    stripes = (torch.arange(SIZE[0]) // 2 % 2 * 2.0 - 1).expand(1, 3, SIZE[1], SIZE[0])
    first, second = torch.zeros_like(stripes), torch.zeros_like(stripes)
    first[..., :40], second[..., 56:] = stripes[..., :40], stripes[..., 56:]
    return first, second


def warp(trust):
    """A field of little bends, trusted alike everywhere."""
    still = Warp.still(SIZE)
    bends = torch.randn(still.control.shape, generator=torch.Generator().manual_seed(0))
    return replace(still, control=0.02 * bends, trust=torch.full((4, 6), trust))


def shares(transition, alpha, size=SIZE):
    return transition.shares(alpha, transition.warp.places(alpha, size)[2])


def test_at_the_ends_there_is_one_picture_alone(pictures):
    for trust in (0.0, 0.4, 1.0):
        transition = Transition.of(*pictures, warp(trust))
        assert shares(transition, 0.0).max() < 1e-6
        assert shares(transition, 1.0).min() > 1 - 1e-6


def test_what_matches_turns_alike_all_along_the_way(pictures):
    transition = Transition.of(*pictures, warp(1.0))
    for alpha in ALPHAS:
        assert torch.allclose(shares(transition, alpha), torch.tensor(alpha), atol=1e-6)


def test_shapes_come_early_and_go_late_where_nothing_matches(pictures):
    transition = Transition.of(*pictures, warp(0.0))
    halfway = shares(transition, 0.5)
    assert halfway[LEFT].max() < 0.05  # the first one's stripes, on which the second is plain
    assert halfway[RIGHT].min() > 0.95
    early, late = shares(transition, 0.3), shares(transition, 0.7)
    assert early[RIGHT].mean() > 0.9
    assert late[LEFT].mean() < 0.1


def test_every_place_turns_one_way_alone(pictures):
    chance = torch.rand(4, 6, generator=torch.Generator().manual_seed(2))
    transition = Transition.of(*pictures, replace(warp(0.0), control=torch.zeros(2, 6, 8), trust=chance))
    on_the_way = torch.cat([shares(transition, alpha / 20) for alpha in range(21)])
    assert (on_the_way.diff(dim=0) >= 0).all()


def test_the_pictures_swapped_turn_the_other_way_round(pictures):
    field = replace(warp(0.0), trust=torch.rand(4, 6, generator=torch.Generator().manual_seed(1)))
    there, back = Transition.of(*pictures, field), Transition.of(*pictures[::-1], field.swapped())
    for alpha in ALPHAS:
        assert torch.allclose(shares(back, 1 - alpha), 1 - shares(there, alpha), atol=1e-4)


def test_it_is_the_same_for_pictures_of_any_size(pictures):
    large = [torch.nn.functional.interpolate(one, scale_factor=4, mode="nearest") for one in pictures]
    small, whole = (Transition.of(*pair, warp(0.0)) for pair in (pictures, large))
    assert (small.halfway - whole.halfway).abs().mean() < 0.05
    assert shares(whole, 0.5, (384, 256)).shape == (1, 1, 256, 384)
