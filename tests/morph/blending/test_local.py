"""Means around every place."""

import torch

from morph.blending.local import local_mean


def test_of_one_value_it_is_that_value_up_to_the_borders():
    assert torch.allclose(local_mean(torch.full((2, 3, 9, 40), 0.7), 33), torch.full((2, 3, 9, 40), 0.7))


def test_one_place_is_spread_over_twice_its_window_and_nothing_is_lost():
    values = torch.zeros(1, 1, 31, 31)
    values[..., 15, 15] = 1
    means = local_mean(values, 5)
    assert torch.isclose(means.sum(), torch.tensor(1.0))
    assert (means > 0).nonzero()[:, 2:].amin(0).tolist() == [11, 11]
    assert (means > 0).nonzero()[:, 2:].amax(0).tolist() == [19, 19]
