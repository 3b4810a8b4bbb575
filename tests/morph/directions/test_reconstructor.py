import pytest
import torch

from morph.directions.descent import Fit
from morph.directions.directions import Bent
from morph.directions.reconstructor import accuracy
from morph.directions.unsupervised import along, orthonormal, unsupervised
from morph.directions.warped import dipoles, warped
from morph.errors import SettingsError
from morph.steps import drain
from tests.morph.directions.linear import linear

FIT = Fit(steps=150, batch=16, rate=2e-3, seed=0)
REACH = (0.3, 1.0)


@pytest.fixture(scope="module")
def generator():
    return linear(numbers=8, scale=1.0)


@pytest.fixture(scope="module")
def points(generator):
    return generator.sample(32, 0)


def test_learnt_directions_are_told_apart_and_shuffled_ones_only_by_chance(generator, points):
    found, reconstructor, right = drain(unsupervised(generator, points, 4, REACH, 0.25, FIT))
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(4), atol=1e-5, rtol=0)
    assert right > 0.6
    fresh, scale = generator.sample(16, 1), float(points.codes.std(0).norm())
    mover = along(found.vectors, scale)
    told = accuracy(generator, fresh, mover, reconstructor, 4, 0.8)
    assert told > 0.6
    shuffled = [
        accuracy(generator, fresh, mover, reconstructor, 4, 0.8, names) for names in ([1, 2, 3, 0], [2, 3, 0, 1])
    ]
    assert max(shuffled) < 0.3
    strange = along(orthonormal(torch.randn(4, 8, generator=torch.Generator().manual_seed(5))), scale)
    assert accuracy(generator, fresh, strange, reconstructor, 4, 0.8) < told - 0.2


def test_more_directions_than_a_code_has_numbers_are_refused(generator, points):
    with pytest.raises(SettingsError, match="8 numbers"):
        drain(unsupervised(generator, points, 9, REACH, 0.25, FIT))


def test_a_bent_way_goes_along_the_gradient():
    torch.manual_seed(0)
    bent = Bent(torch.randn(2, 6, 3), torch.randn(2, 6), torch.rand(2, 6) + 0.1, torch.ones(2))
    codes = torch.randn(5, 3)
    numbers = torch.tensor([0, 1, 1, 0, 1])

    def f(z, number):
        distances = (z - bent.supports[number].double()).square().sum(1)
        return (bent.weights[number].double() * (-bent.gammas[number].double() * distances).exp()).sum()

    step = 1e-5
    for code, number, found in zip(codes.double(), numbers, bent.at(codes, numbers), strict=True):
        gradient = torch.stack(
            [(f(code + e, number) - f(code - e, number)) / (2 * step) for e in torch.eye(3) * step]
        )
        torch.testing.assert_close(found.double(), gradient / gradient.norm(), atol=1e-4, rtol=1e-4)
    assert torch.equal(bent.shifts(codes, 0, torch.zeros(5)), torch.zeros(5, 3))
    lengths = bent.shifts(codes, 1, torch.full((5,), 2.0)).norm(dim=1)
    assert (lengths <= 2.0001).all()
    assert (lengths > 0.2).all()


def test_far_from_all_its_bumps_a_bent_way_still_goes_somewhere(points):
    bent = dipoles(points, 3, 4, 0)
    assert bent.supports.shape == (3, 8, 8)
    far = points.codes[:4] * 100
    torch.testing.assert_close(bent.at(far, torch.zeros(4, dtype=torch.long)).norm(dim=1), torch.ones(4))


def test_bent_ways_are_told_apart_and_turn(generator, points):
    found, _, right = drain(warped(generator, points, 3, 4, REACH, 0.25, FIT))
    assert right > 0.55
    start = dipoles(points, 3, 4, 0)
    assert not torch.allclose(found.supports, start.supports, atol=1e-3)
    zero = torch.zeros(len(points), dtype=torch.long)
    at = found.at(points.codes, zero)
    assert float((at @ at.T).min()) < 0.99
