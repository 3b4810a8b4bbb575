import torch

from morph.directions import steerability
from morph.directions.changes import CHANGES
from morph.directions.descent import Fit, amounts_of
from morph.directions.ganalyze import ganalyze
from morph.directions.generator import Points, pictures_of
from morph.directions.regressor import outside, regressed
from morph.directions.scorers import as_share
from morph.perception.lpips import PerceptualDistance
from morph.steps import drain
from tests.morph.directions.linear import Linear, linear

FIT = Fit(steps=150, batch=8, rate=0.02, seed=0)


def lit(count=5):
    """A linear generator whose number 1 is how bright a picture is, 0.25 for 1; the others are patterns."""
    plain = linear(count, scale=0.2)
    basis = plain.basis - plain.basis.mean((1, 2, 3), keepdim=True)
    basis[1] = 0.25
    return Linear(basis, torch.ones(count), torch.eye(count), plain.base)


def test_a_known_change_is_found_with_its_length():
    generator = lit()
    found = drain(steerability.steer(generator, generator.sample(16, 0), CHANGES["brightness"], FIT))
    direction = found.vectors[0] * found.scales[0]
    # an amount of 1 adds 1 to a picture, cut at white, and number 1 adds 0.25 to it
    torch.testing.assert_close(direction, torch.tensor([0.0, 4.0, 0.0, 0.0, 0.0]), atol=0.5, rtol=0)
    shifts = found.shifts(torch.zeros(2, 5), 0, torch.tensor([0.3, -0.3]))
    pictures = pictures_of(generator, Points(torch.zeros(2, 5)), shifts)
    wanted, _ = CHANGES["brightness"](pictures_of(generator, Points(torch.zeros(2, 5))), torch.tensor([0.3, -0.3]))
    torch.testing.assert_close(pictures, wanted, atol=0.05, rtol=0)


def test_a_mask_leaves_out_what_comes_from_outside():
    made, wanted = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    assert steerability.masked_error(made, wanted, mask) == 0
    mask[..., :2] = 1
    assert steerability.masked_error(made, wanted, mask) == 1


def brightness(pictures):
    return pictures.mean((1, 2, 3))


def test_a_score_grows_as_it_was_told_to():
    generator = lit()
    points = generator.sample(32, 0)
    share = as_share(brightness, pictures_of(generator, points))
    found = drain(ganalyze(generator, points, share, FIT))
    assert abs(float(found.vectors[0, 1])) > 0.9
    scores = [
        float(
            share(pictures_of(generator, points, found.shifts(points.codes, 0, torch.full((32,), amount)))).mean()
        )
        for amount in (-1.0, 0.0, 1.0)
    ]
    assert scores[0] < scores[1] - 0.2 < scores[2] - 0.4


def test_a_regressor_grows_and_what_counts_beside_it_holds_the_way_back():
    generator = lit()
    points = generator.sample(32, 0)
    share = as_share(brightness, pictures_of(generator, points))
    fit = Fit(steps=80, batch=8, rate=0.02, seed=0)
    free = drain(regressed(generator, points, share, PerceptualDistance(), fit, 0.0, 0.0))
    held = drain(regressed(generator, points, share, PerceptualDistance(), fit, 0.0, 5.0))
    assert float(free.vectors[0, 1]) > 0.9
    assert float(held.scales[0]) < 0.8 * float(free.scales[0])
    alike = drain(regressed(generator, points, share, PerceptualDistance(), fit, 5.0, 0.0))
    assert float(alike.scales[0]) < float(free.scales[0])


def test_codes_lie_outside_once_they_are_farther_than_codes_are():
    mean, spread = torch.zeros(4), torch.full((4,), 2.0)
    assert outside(torch.full((3, 4), 2.0), mean, spread) == 0
    assert outside(torch.full((3, 4), 4.0), mean, spread) == 3


def test_draws_are_of_the_step_alone_and_reach_everything():
    fit = Fit(1, 3, 0.1, 0)
    assert torch.equal(fit.rows(7, 5, "a"), fit.rows(7, 5, "a"))
    seen = torch.cat([fit.rows(6, step, "a") for step in range(4)])
    assert seen.bincount().tolist() == [2] * 6
    amounts = torch.cat([amounts_of(fit, 3, step, "a") for step in range(40)])
    assert (amounts.abs() >= 0.25).all()
    assert (amounts.abs() <= 1).all()
    assert (amounts < 0).sum() == 60
    numbers = torch.cat([fit.choices(4, 12, step, "a") for step in range(60)])
    assert numbers.bincount().min() > 8
