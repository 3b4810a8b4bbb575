import pytest
import torch

from morph.directions.directions import Straight
from morph.directions.pca import principal
from morph.errors import SettingsError
from tests.morph.directions.linear import linear


def test_planted_axes_come_back_in_the_order_of_what_they_vary():
    generator = linear()
    codes = generator.sample(800, 0).codes + 3.0
    directions, shares = principal(codes, 6)
    for found, planted in zip(directions.vectors, generator.axes, strict=True):
        assert abs(float(found @ planted)) > 0.97
    torch.testing.assert_close(directions.scales, generator.deviations, rtol=0.12, atol=0)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-5)
    assert shares.tolist() == sorted(shares.tolist(), reverse=True)


def test_an_amount_of_one_is_a_standard_deviation_and_zero_is_nothing():
    directions, _ = principal(linear().sample(50, 1).codes, 3)
    shifts = directions.shifts(torch.zeros(3, 6), 1, torch.tensor([0.0, 1.0, -2.0]))
    assert shifts[0].abs().max() == 0
    torch.testing.assert_close(shifts[1], directions.vectors[1] * directions.scales[1])
    torch.testing.assert_close(shifts[2], -2 * shifts[1])


def test_there_are_no_more_than_codes_say():
    codes = linear().sample(4, 0).codes
    assert len(principal(codes, 80)[0]) == 3
    flat = torch.outer(torch.arange(9.0), torch.ones(5))
    assert isinstance(principal(flat, 5)[0], Straight)
    assert len(principal(flat, 5)[0]) == 1
    with pytest.raises(SettingsError, match="all codes are the same"):
        principal(torch.ones(5, 4), 2)
    with pytest.raises(SettingsError, match="draw more samples"):
        principal(torch.ones(1, 4), 2)
