"""Where anchors stand, as the paper and its baselines have them."""

import pytest

from morph.errors import SettingsError
from pipelines.request.levels import plan_anchors
from pipelines.request.settings import Settings, changed


def plan(depth, steps=200, **anchors):
    values = {"steps": steps, "anchors.depth": depth, **{f"anchors.{key}": value for key, value in anchors.items()}}
    return plan_anchors(changed(Settings(), values))


def test_the_recursion_visits_what_the_paper_lists():
    """Wang & Golland: 17 frames, 200 steps, noise from 55 % at the first level to 30 % at the last."""
    levels = plan(4)
    assert [level.steps for level in levels] == [110, 93, 76, 60]
    assert [level.candidates for level in levels] == [8, 7, 6, 5]
    assert all(level.until == 0 for level in levels)
    visited = {
        round(place.alpha * 16): (round(place.left * 16), round(place.right * 16), place.weight)
        for level in levels
        for place in level.places
    }
    assert visited == {
        8: (0, 16, 0.5),
        4: (0, 8, 0.5), 12: (8, 16, 0.5),
        2: (0, 4, 0.5), 6: (4, 8, 0.5), 10: (8, 12, 0.5), 14: (12, 16, 0.5),
        **{i: (i - 1, i + 1, 0.5) for i in range(1, 16, 2)},
    }  # fmt: skip
    assert [len(level.places) for level in levels] == [1, 2, 4, 8]
    few = plan(7, candidates=5)
    assert [level.candidates for level in few] == [5, 4, 3, 3, 3, 3, 3]


def test_the_simpler_schemes_visit_every_frame_once():
    for scheme in ("cascade", "flat", "latent"):
        levels = plan(3, scheme=scheme)
        alphas = sorted(place.alpha for level in levels for place in level.places)
        assert alphas == [i / 8 for i in range(1, 8)]
        assert {level.candidates for level in levels} == {1}
    cascade = plan(3, scheme="cascade")
    assert [(level.steps, level.until) for level in cascade] == [(110, 85), (85, 60), (60, 0)]
    flat = plan(3, scheme="flat")
    amounts = {place.alpha: level.steps for level in flat for place in level.places}
    assert amounts == {0.125: 60, 0.25: 76, 0.375: 93, 0.5: 110, 0.625: 93, 0.75: 76, 0.875: 60}
    (latent,) = plan(3, scheme="latent")
    assert latent.steps == 0
    assert plan(0) == []


@pytest.mark.parametrize("scheme", ["branch", "cascade", "flat"])
def test_the_middle_takes_the_most_noise_also_where_it_is_alone(scheme):
    (level,) = plan(1, scheme=scheme)
    assert (level.steps, level.until, level.places[0].alpha) == (110, 0, 0.5)


def test_noise_that_grows_or_rounds_to_nothing_is_refused():
    with pytest.raises(SettingsError, match="noise_first"):
        plan(2, noise_first=0.2)
    with pytest.raises(SettingsError, match="too few"):
        plan(2, steps=3)
    assert [level.steps for level in plan(2, steps=3, noise_first=0, noise_last=0)] == [0, 0]
