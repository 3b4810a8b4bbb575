"""AlexNet's layers as a transformer's patches."""

import pytest
import torch

from morph.perception.lpips import PerceptualDistance
from morph.perception.patches import AlexNetPatches


@pytest.mark.parametrize("side", [32, 128, 160])
def test_every_16_px_are_a_patch(side):
    made = AlexNetPatches(8)(torch.zeros(2, 3, side, side))
    assert made.shape == (2, 8, side // 16, side // 16)


def test_a_patch_tells_of_its_own_place():
    patches = AlexNetPatches(8)
    plain = torch.zeros(1, 3, 160, 160)
    changed = plain.clone()
    changed[:, :, 112:, :48] = 1
    difference = (patches(plain) - patches(changed)).square().sum(1)[0].detach()
    top, left = divmod(int(difference.argmax()), difference.shape[1])
    assert top >= 6
    assert left <= 3


def test_its_trunk_is_the_one_that_lpips_looks_with():
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = PerceptualDistance().layers(images)
    ours = AlexNetPatches(8).trunk(images)
    assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))
