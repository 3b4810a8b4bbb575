import pytest
import torch

from morph.editing.frequencies import blurred, low_pass

VALUES = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
FLAT = torch.full((1, 3, 32, 48), 0.3)
both = pytest.mark.parametrize("coarse", [low_pass, blurred])


@both
def test_the_coarse_part_is_linear_and_keeps_what_is_flat(coarse):
    assert torch.allclose(coarse(VALUES + 2 * FLAT, 4), coarse(VALUES, 4) + 0.6, atol=1e-5)
    assert torch.allclose(coarse(FLAT, 4), FLAT, atol=1e-6)
    assert coarse(VALUES, 4).std() < 0.3 * VALUES.std()
    assert torch.allclose(coarse(VALUES, 1e6), VALUES.mean((-2, -1), keepdim=True).expand_as(VALUES), atol=0.02)


def test_nothing_is_coarse_below_a_cell():
    assert torch.equal(low_pass(VALUES, 1), VALUES)
    assert torch.equal(blurred(VALUES, 0), VALUES)


def test_the_coarse_part_of_the_coarse_part_is_nearly_it():
    smooth = low_pass(VALUES, 4)
    assert (low_pass(smooth, 4) - smooth).std() < 0.3 * smooth.std()


def test_the_blur_is_a_gaussian():
    dot = torch.zeros(1, 1, 33, 41)
    dot[..., 16, 20] = 1
    values = blurred(dot, 2.0)[0, 0]
    assert float(values.sum()) == pytest.approx(1, abs=1e-5)
    places = torch.arange(41) - 20.0
    variance = float((values.sum(0) * places.square()).sum())
    assert variance == pytest.approx(4, rel=0.01)
    corner = torch.zeros(1, 1, 8, 8)
    corner[..., 0, 0] = 1
    assert float(blurred(corner, 2.0).sum()) == pytest.approx(1, abs=1e-5)  # mirrored, nothing is lost
