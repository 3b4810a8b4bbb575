import pytest
import torch

from morph.semantic.prior import Prior
from morph.steps import drain


@pytest.fixture(scope="module")
def trained():
    """A prior of two kinds of codes, which differ in their first number, and some of these."""
    torch.manual_seed(0)
    codes = torch.randn(600, 6) * 0.3
    codes[:300, 0] += 1
    codes[300:, 0] -= 1
    codes[:, 2] = codes[:, 1]
    prior = Prior(6)
    losses = []
    drain(prior.fit(codes, 400, 128, 2e-3, 0), losses.append)
    return prior.eval(), codes, losses


def test_codes_that_are_drawn_are_like_those_that_are_known(trained):
    prior, codes, losses = trained
    assert sum(losses[-50:]) < 0.6 * sum(losses[:50])
    drawn = prior.drawn(400, 1)
    assert (drawn.mean(0) - codes.mean(0)).abs().max() < 0.15
    assert (drawn.std(0) / codes.std(0) - 1).abs().max() < 0.4
    assert (drawn[:, 0].abs() < 0.3).float().mean() < 0.2, "two kinds, and few in between"
    assert torch.corrcoef(drawn[:, 1:3].T)[0, 1] > 0.8
    assert torch.allclose(prior.drawn(3, 1), drawn[:3], atol=1e-3), "by the number alone"
    assert not torch.allclose(prior.drawn(3, 2), drawn[:3], atol=0.1)


def test_with_no_strength_a_code_stays_and_with_a_little_it_is_drawn(trained):
    prior, codes, _ = trained
    assert torch.equal(prior.another(codes, 0.0, 0), codes)
    assert not torch.equal(prior.another(codes, 0.01, 0), prior.another(codes, 0.01, 1))


def test_another_code_is_of_the_same_kind_unless_nothing_is_left(trained):
    prior, codes, _ = trained
    near, far = prior.another(codes, 0.2, 0), prior.another(codes, 1.0, 0)
    assert (near[:, 0].sign() == codes[:, 0].sign()).float().mean() > 0.95
    distances = [float((one - codes).norm(dim=1).mean()) for one in (near, far)]
    assert 0 < distances[0] < 0.7 * distances[1]
    alone = prior.another(codes[:1], 0.6, 3)
    assert torch.allclose(prior.another(codes[:2], 0.6, 3)[:1], alone, atol=1e-3)
    assert not torch.allclose(prior.another(codes[:1], 0.6, 4), alone, atol=0.05)
