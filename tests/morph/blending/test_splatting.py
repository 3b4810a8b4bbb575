"""Softmax splatting: what moves where, what stays on top, and what is left uncovered."""

import torch

from morph import random
from morph.blending.splatting import splatted

HEIGHT, WIDTH = 5, 7


def values(channels=3, count=1):
    return random.normal((count, channels, HEIGHT, WIDTH), 0, "splatting")


def flow(x, y):
    return torch.tensor([x, y]).float().reshape(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)


FLAT = torch.zeros(1, 1, HEIGHT, WIDTH)


def test_a_constant_flow_is_a_shift():
    picture = values()
    assert torch.allclose(splatted(picture, flow(0, 0), FLAT - 10), picture)
    shifted = splatted(picture, flow(2, -1), FLAT)
    assert torch.allclose(shifted[:, :, :-1, 2:], picture[:, :, 1:, :-2])
    assert not shifted[:, :, -1].any()
    assert not shifted[:, :, :, :2].any()


def test_between_cells_it_goes_to_those_around():
    picture = values()
    shifted = splatted(picture, flow(0.25, 0), FLAT)
    assert torch.allclose(shifted[..., 1:], 0.75 * picture[..., 1:] + 0.25 * picture[..., :-1], atol=1e-6)
    assert torch.allclose(shifted[..., 0], picture[..., 0])  # no other comes to it


def test_where_two_come_to_the_higher_metric_stays_on_top():
    picture, moving = values(), flow(0, 0).clone()
    moving[0, 0, 2, 3] = 2  # onto its second neighbour
    metric = FLAT.clone()
    assert torch.allclose(
        splatted(picture, moving, metric)[0, :, 2, 5], picture[0, :, 2, (3, 5)].mean(1), atol=1e-6
    )
    metric[0, 0, 2, 3] = 10
    assert torch.allclose(splatted(picture, moving, metric)[0, :, 2, 5], picture[0, :, 2, 3], atol=1e-3)


def test_ones_tell_what_is_covered():
    ones, moving = torch.ones(1, 1, HEIGHT, WIDTH), flow(0, 0).clone()
    moving[0, 0, 2, 3] = 1
    covered = splatted(ones, moving, FLAT)
    expected = ones.clone()
    expected[0, 0, 2, 3] = 0
    assert torch.equal(covered, expected)


def test_each_of_a_batch_goes_its_own_way():
    pictures = values(count=2)
    flows = torch.cat([flow(1, 0), flow(0, 2.5)])
    both = splatted(pictures, flows, FLAT.expand(2, -1, -1, -1))
    alone = [splatted(picture, way, FLAT) for picture, way in zip(pictures.split(1), flows.split(1), strict=True)]
    assert torch.allclose(both, torch.cat(alone))
