import pytest
import torch

from morph.directions.boundary import apart, extremes, separated
from morph.errors import SettingsError


def planted(count=60, width=20, seed=0):
    """Codes that have something beyond a plane, and codes that lack it; the plane's normal."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.nn.functional.normalize(torch.randn(width, generator=generator), dim=0)
    codes = torch.randn(4 * count, width, generator=generator)
    score = codes @ normal
    codes = codes[score.abs() > 0.4]
    side = codes @ normal > 0
    return codes[side], codes[~side], normal


def test_planted_classes_are_separated_towards_those_that_have_it():
    having, lacking, normal = planted()
    boundary = separated(having, lacking, 0)
    assert float(boundary.normal @ normal) > 0.9
    assert boundary.accuracy > 0.9
    turned = separated(lacking, having, 0)
    assert float(turned.normal @ normal) < -0.9


def test_what_means_nothing_is_separated_by_chance_alone():
    codes = torch.randn(200, 20, generator=torch.Generator().manual_seed(3))
    assert separated(codes[:100], codes[100:], 0).accuracy < 0.7


def test_neither_scale_nor_place_of_the_codes_matters():
    having, lacking, normal = planted()
    far = separated(having * 1e-3 + 50, lacking * 1e-3 + 50, 0)
    assert float(far.normal @ normal) > 0.9


def test_a_conditional_direction_is_orthogonal_to_the_others_and_still_its_own():
    having, lacking, _ = planted()
    first = separated(having, lacking, 0).normal
    mixed = torch.nn.functional.normalize(first + torch.eye(20)[3], dim=0)
    left = apart(mixed, [first])
    torch.testing.assert_close(left, torch.nn.functional.normalize(mixed - (mixed @ first) * first, dim=0))
    others = torch.nn.functional.normalize(torch.randn(3, 20), dim=1)
    left = apart(mixed, list(others))
    assert (others @ left).abs().max() < 1e-5
    assert float(left @ mixed) > 0
    twice = apart(mixed, [others[0], others[0]])  # the same is no other
    torch.testing.assert_close(twice, apart(mixed, [others[0]]))
    with pytest.raises(SettingsError, match="nothing is left"):
        apart(first, [first])
    with pytest.raises(SettingsError, match="all codes are the same"):
        separated(torch.ones(9, 2), torch.ones(9, 2), 0)


def test_scores_pick_the_ends():
    scores = torch.arange(40.0)[torch.randperm(40)]
    top, bottom = extremes(scores, 0.2)
    assert scores[top].min() == 32
    assert scores[bottom].max() == 7
    with pytest.raises(SettingsError, match="--samples"):
        extremes(scores, 0.02)
    with pytest.raises(SettingsError, match="that lack it"):
        separated(torch.ones(9, 2), torch.ones(2, 2), 0)
