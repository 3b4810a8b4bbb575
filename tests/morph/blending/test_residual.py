"""What a model cannot reconstruct, in the frames between."""

import pytest
import torch
from torch.nn import functional as F

from morph.blending.residual import restored
from morph.scaling import enlarged

SIDE = 64
LEFT = slice(0, SIDE // 4)
RIGHT = slice(3 * SIDE // 4, SIDE)


@pytest.fixture
def ends():
    """Two flat reconstructions and the stripes that they miss, other ones each."""
    reconstructions = [torch.full((1, 3, SIDE, SIDE), value) for value in (-0.5, 0.5)]
    stripes = torch.tensor([0.2, -0.2]).repeat(SIDE // 2)
    return reconstructions, (stripes.expand(1, 3, SIDE, SIDE), stripes.reshape(-1, 1).expand(1, 3, SIDE, SIDE))


def restore(frames, alpha, ends, reach):
    reconstructions, residuals = ends
    return restored(frames, torch.tensor([alpha] * len(frames)), reconstructions, residuals, reach)


@pytest.mark.parametrize("reach", [0.25, 0.6, 1.0])
def test_reconstructions_at_the_ends_become_the_pixels(ends, reach):
    reconstructions, residuals = ends
    for side, alpha in enumerate((0.0, 1.0)):
        assert torch.allclose(
            restore(reconstructions[side], alpha, ends, reach), reconstructions[side] + residuals[side], atol=1e-6
        )


def test_beyond_its_reach_nothing_is_left(ends):
    frame = torch.zeros(1, 3, SIDE, SIDE)
    assert torch.allclose(restore(frame, 0.5, ends, 0.4), frame, atol=1e-6)


def test_every_place_takes_the_residual_of_the_end_it_is_like(ends):
    reconstructions, residuals = ends
    frame = torch.cat([reconstructions[0][..., : SIDE // 2], reconstructions[1][..., SIDE // 2 :]], dim=3)
    added = restore(frame, 0.5, ends, 1.0) - frame
    assert torch.allclose(added[..., LEFT], residuals[0][..., LEFT], atol=1e-3)
    assert torch.allclose(added[..., RIGHT], residuals[1][..., RIGHT], atol=1e-3)


def test_what_two_equal_ends_miss_is_never_lost(ends):
    reconstructions, residuals = ends
    same = [reconstructions[0]] * 2, (residuals[0],) * 2
    for alpha in (0.1, 0.5, 0.8):
        assert torch.allclose(
            restore(reconstructions[0], alpha, same, 1.0), reconstructions[0] + residuals[0], atol=1e-6
        )


def test_larger_residuals_enlarge_the_frame_and_the_share_that_each_place_takes(ends):
    reconstructions, residuals = ends
    fine = tuple(F.interpolate(residual, scale_factor=4, mode="nearest") for residual in residuals)
    frame = torch.cat([reconstructions[0][..., : SIDE // 2], reconstructions[1][..., SIDE // 2 :]], dim=3)
    added = restore(frame, 0.5, (reconstructions, fine), 1.0) - enlarged(frame, (4 * SIDE, 4 * SIDE))
    for side, place in enumerate((slice(0, SIDE), slice(3 * SIDE, 4 * SIDE))):
        assert torch.allclose(added[..., place], fine[side][..., place], atol=1e-3)


def test_places_that_have_not_turned_keep_the_first_ends_residual_whatever_others_do(ends):
    reconstructions, residuals = ends
    frame = torch.cat([reconstructions[0][..., : SIDE // 2], reconstructions[1][..., SIDE // 2 :]], dim=3)
    shares = torch.zeros(1, 1, SIDE, SIDE)
    shares[..., SIDE // 2 :] = 1
    added = restored(frame, shares, reconstructions, residuals, 0.4) - frame
    assert torch.allclose(added[..., LEFT], residuals[0][..., LEFT], atol=1e-3)
    assert torch.allclose(added[..., RIGHT], residuals[1][..., RIGHT], atol=1e-3)
    alike = restored(frame, torch.full((1, 1, SIDE, SIDE), 0.3), reconstructions, residuals, 0.4)
    assert torch.allclose(alike, restore(frame, 0.3, ends, 0.4), atol=1e-6)
