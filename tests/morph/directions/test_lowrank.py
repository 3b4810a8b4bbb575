import pytest
import torch

from morph.directions.generator import Points, pictures_of
from morph.directions.lowrank import answers, regional, robust_pca
from morph.errors import SettingsError
from morph.steps import drain
from tests.morph.directions.linear import Linear


@pytest.fixture(scope="module")
def halves():
    """Of ten numbers three move the left half alone, three both halves, three the right half alone, one nothing."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(10, 3, 32, 32, generator=generator) * 0.02
    basis[:3, :, :, 16:] = 0
    basis[3:6] *= 1.5
    basis[6:9, :, :, :16] = 0
    basis[9] = 0
    turn, _ = torch.linalg.qr(torch.randn(10, 10, generator=generator))
    basis = torch.einsum("de,echw->dchw", turn, basis)
    return Linear(basis, torch.ones(10), torch.eye(10), torch.zeros(1, 3, 32, 32))


@pytest.fixture(scope="module")
def left():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    return mask


def test_directions_change_the_region_and_leave_the_rest_alone(halves, left):
    inner, rest = drain(answers(halves, halves.sample(2, 0), torch.eye(10), left, 0.5))
    exact = torch.einsum("dchw,echw->de", halves.basis * left, halves.basis).double()
    torch.testing.assert_close(inner, exact, rtol=1e-3, atol=1e-5)
    found = regional(inner, rest, torch.eye(10), 3, kept=0.999999)
    assert found.rank == 6
    assert len(found.vectors) == 3

    def change(vector, mask):
        points = Points(torch.zeros(1, 10))
        moved = pictures_of(halves, points, vector[None]) - pictures_of(halves, points)
        return float((moved * mask).square().mean().sqrt())

    for vector, free in zip(found.vectors, found.free, strict=True):
        assert change(vector, 1 - left) < 0.01 * change(free, 1 - left)
        assert change(vector, left) > 0.3 * change(free, left)


def test_a_low_rank_part_and_a_sparse_one_are_taken_apart():
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    sparse = torch.zeros(30, 30, dtype=torch.float64)
    for place in range(0, 30, 3):
        sparse[place, (place * 7) % 30] = 8.0
    low, found = robust_pca(factor @ factor.T + sparse)
    torch.testing.assert_close(low, factor @ factor.T, atol=1e-3, rtol=0)
    torch.testing.assert_close(found, sparse, atol=1e-3, rtol=0)
    assert torch.linalg.matrix_rank(low, rtol=1e-6) == 2


def test_what_cannot_be_moved_alone_is_refused(halves, left):
    inner, rest = drain(answers(halves, halves.sample(1, 0), torch.eye(10)[:3], left, 0.5))
    with pytest.raises(SettingsError, match="nothing can be moved without it"):
        regional(inner, torch.eye(3, dtype=torch.float64) * rest.norm(), torch.eye(10)[:3], 2)
    with pytest.raises(SettingsError, match="draw another mask"):
        regional(torch.zeros_like(inner), torch.zeros_like(rest), torch.eye(10)[:3], 2)
