import pytest
import torch

from morph.semantic.classifier import direction


def test_the_direction_is_that_in_which_the_kinds_differ():
    generator = torch.Generator().manual_seed(0)
    without, having = torch.randn(80, 12, generator=generator), torch.randn(20, 12, generator=generator)
    having[:, 3] += 3
    found = direction(without, having)
    assert found.shape == (12,)
    assert float(found.norm()) == pytest.approx(1, abs=1e-5)
    assert float(found[3]) > 0.9
    assert torch.allclose(direction(having, without), -found, atol=1e-3)
    moved = without + 6 * found
    middle = (without.mean(0) + having.mean(0)) @ found / 2
    assert (without @ found < middle).float().mean() > 0.9
    assert (moved @ found > middle).all()


def test_both_kinds_are_needed():
    with pytest.raises(ValueError, match="both kinds"):
        direction(torch.zeros(0, 3), torch.zeros(2, 3))


def test_a_sparse_direction_moves_few_numbers():
    generator = torch.Generator().manual_seed(0)
    without, having = torch.randn(80, 40, generator=generator), torch.randn(80, 40, generator=generator)
    having[:, 3] += 2
    having[:, 7] -= 2
    dense, sparse = direction(without, having), direction(without, having, sparsity=0.05)
    assert (dense != 0).sum() == 40
    assert {3, 7} <= set(sparse.nonzero()[:, 0].tolist())
    assert (sparse != 0).sum() < 15
    assert float(sparse.norm()) == pytest.approx(1, abs=1e-5)
    assert sparse[3] > 0.4
    assert sparse[7] < -0.4
    with pytest.raises(ValueError, match="take less"):
        direction(without, having, sparsity=100)
