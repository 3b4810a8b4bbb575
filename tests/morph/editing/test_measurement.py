import pytest
import torch

from morph.editing.measurement import Grey, Known, Pooled
from morph.errors import SettingsError

MASK = torch.zeros(1, 1, 32, 32)
MASK[..., 8:20, 4:16] = 1
MEASUREMENTS = {"grey": Grey(), "pooled": Pooled(8), "known": Known(MASK)}
every = pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=MEASUREMENTS)


def pictures(seed, spread=0.6):
    values = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    return (values * spread).clamp(-1, 1)


@every
def test_what_is_spread_measures_as_it_was(measurement):
    wanted = measurement.measured(pictures(0))
    assert torch.allclose(measurement.measured(measurement.spread(wanted)), wanted, atol=1e-6)


@every
def test_what_is_fitted_is_measured_as_wanted_and_else_stays(measurement):
    """The open part, (I - A^+ A) x, is that of the picture; what fits already does not change."""
    picture, wanted = pictures(1), measurement.measured(pictures(2))
    fitted = measurement.fitted(picture, wanted)
    assert torch.allclose(measurement.measured(fitted), wanted, atol=1e-5)

    def left_open(pixels):
        return pixels - measurement.spread(measurement.measured(pixels))

    assert torch.allclose(left_open(fitted), left_open(picture), atol=1e-5)
    assert left_open(fitted).abs().max() > 0.1
    assert torch.allclose(measurement.fitted(fitted, wanted), fitted, atol=1e-5)


@every
def test_what_is_held_stays_within_range_and_is_exact(measurement):
    picture, wanted = pictures(3, spread=2.0), measurement.measured(pictures(4, spread=2.0))
    held = measurement.held(picture, wanted)
    assert float(held.abs().max()) <= 1
    assert float((measurement.measured(held.double()) - wanted).abs().max()) < 1e-6
    assert float((measurement.measured(picture) - wanted).abs().max()) > 0.1
    detail = held - measurement.spread(measurement.measured(held))
    assert float(detail.abs().mean()) > 0.05


def test_what_is_known_is_held_bit_for_bit():
    original, painted = pictures(5), pictures(6)
    known = MEASUREMENTS["known"]
    held = known.held(painted, known.measured(original))
    outside = MASK.expand_as(held) == 0
    assert torch.equal(held[outside], original[outside])
    assert torch.equal(held[~outside], painted[~outside])


def test_sides_that_a_square_does_not_divide_are_refused():
    with pytest.raises(SettingsError, match="32x32 cannot be pooled by 5"):
        Pooled(5).measured(pictures(0))
