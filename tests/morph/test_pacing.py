import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morph import pacing
from morph.pacing import Evenness, even, nearest, refine, shares, uniform

positive = st.lists(st.floats(1e-3, 10), min_size=1, max_size=12)


@given(positive, st.integers(0, 40))
def test_shares_spend_everything_and_no_move_would_help(gaps, extra):
    frames = shares(gaps, extra)
    assert sum(frames) == extra
    worst = max(gap / (n + 1) for gap, n in zip(gaps, frames, strict=True))
    for gap, n in zip(gaps, frames, strict=True):
        if n:  # taking a frame away from any gap makes it at least as bad as the worst now
            assert gap / n >= worst - 1e-12


def test_shares_favour_the_ends_at_a_tie():
    assert shares([1.0, 1.0, 1.0], 2) == [1, 0, 1]


@given(positive, st.integers(1, 40), st.integers(1, 8))
def test_refine_puts_new_frames_strictly_between_old_ones(gaps, extra, batch):
    alphas = uniform(len(gaps) + 1)
    positions = refine(alphas, gaps, extra, batch)
    assert 1 <= len(positions) <= min(extra, batch)
    assert positions == sorted(set(positions) - set(alphas))
    assert all(0 < alpha < 1 for alpha in positions)


def gaps_of(curve: Callable[[float], float], alphas: list[float]) -> list[float]:
    """Squared distances, as LPIPS is, along a line on which the frame at alpha stands at ``curve(alpha)``."""
    return np.square(np.diff([curve(alpha) for alpha in alphas])).tolist()


@pytest.mark.parametrize("frames", [24, 48])
@pytest.mark.parametrize(
    "curve",
    [
        lambda alpha: alpha,
        lambda alpha: alpha**3,
        lambda alpha: 1 / (1 + math.exp(-12 * (alpha - 0.4))),
        lambda alpha: alpha**0.5,
        lambda alpha: alpha + 0.1 * math.sin(6.28 * alpha),
    ],
    ids=["even", "cubic", "step", "root", "wavy"],
)
def test_a_survey_and_two_passes_even_out_any_pace(curve, frames):
    alphas = uniform(6)
    while remaining := frames // 2 - len(alphas):
        alphas = sorted(alphas + refine(alphas, gaps_of(curve, alphas), remaining, min(8, (remaining + 1) // 2)))
    shown = even(alphas, gaps_of(curve, alphas), frames)
    measured = sorted(set(alphas) | set(shown))
    shown = even(measured, gaps_of(curve, measured), frames)
    assert len(shown) == frames
    assert (shown[0], shown[-1]) == (0, 1)
    assert shown == sorted(set(shown))
    assert len(set(shown) | set(measured)) <= 2 * frames
    paced, plain = Evenness.of(gaps_of(curve, shown)), Evenness.of(gaps_of(curve, uniform(frames)))
    assert paced.max_mean_gap <= 1.5
    assert paced.pdv <= max(plain.pdv / 3, (0.2 * paced.mean_gap) ** 2)


@pytest.mark.parametrize("power", [1.0, 1.3, 2.0])
def test_the_power_by_which_distances_add_up_is_found(power):
    places = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 20))
    steps = np.diff(places) ** power
    wholes = (places[2:] - places[:-2]) ** power
    halves = list(pairwise(steps.tolist()))
    assert pacing.power_of(halves, wholes) == pytest.approx(power, abs=1e-4)
    assert pacing.power_of(halves, wholes * 8) == 2  # no more than the square
    assert pacing.power_of(halves, wholes / 8) == pytest.approx(1, abs=1e-4)
    assert pacing.power_of([], []) == pacing.power_of([(0.0, 0.0)], [0.0]) == 2


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_way_is_paced_by_the_power_of_its_distances(power):
    """One survey is enough where lengths add up, and frames by the wrong power are uneven."""
    curve = lambda alpha: alpha**2 + 0.1 * math.sin(9 * alpha)  # noqa: E731
    far = lambda alphas: (np.abs(np.diff([curve(alpha) for alpha in alphas])) ** power).tolist()  # noqa: E731
    alphas = uniform(40)
    evenness = {
        assumed: Evenness.of(far(even(alphas, far(alphas), 24, known=(), power=assumed))).max_mean_gap
        for assumed in (1.0, 2.0)
    }
    assert evenness[power] < 1.2
    assert evenness[3 - power] > 1.3


def test_frames_that_stand_almost_right_are_kept_and_others_spaced_between_them():
    rng = np.random.default_rng(3)
    for _ in range(20):
        alphas = [0.0, *np.sort((np.arange(1, 23) + rng.uniform(-0.45, 0.45, 22)) / 23).tolist(), 1.0]
        gaps = gaps_of(lambda alpha: alpha, alphas)
        shown = even(alphas, gaps, 24)
        evenness = Evenness.of(gaps_of(lambda alpha: alpha, shown))
        assert evenness.max_mean_gap < 1.3
        assert evenness.pdv < Evenness.of(gaps).pdv / 3
        assert len(set(shown) & set(alphas)) >= 9


def test_identical_frames_are_spaced_by_alpha():
    assert refine([0.0, 0.5, 1.0], [0.0, 0.0], 2, 2) == [0.25, 0.75]
    assert even([0.0, 0.5, 1.0], [0.0, 0.0], 5) == pytest.approx(uniform(5), abs=0.03)


def test_positions_that_nobody_rendered_are_not_snapped_to():
    alphas, gaps = [0.0, 0.49, 0.51, 1.0], [0.01, 1e-6, 0.01]
    assert even(alphas, gaps, 3)[1] in alphas
    assert even(alphas, gaps, 3, known=[0.0, 1.0])[1] not in alphas
    assert even(alphas, gaps, 3, known=[0.0, 0.51, 1.0])[1] == 0.51


def test_evenness_of_nothing_one_gap_and_identical_frames_is_defined():
    assert Evenness.of([]) == Evenness(ppl=0, pdv=0, mean_gap=0, max_mean_gap=1)
    assert Evenness.of([0.0, 0.0]).max_mean_gap == 1
    assert Evenness.of([1.0, 3.0]) == Evenness(ppl=4, pdv=1, mean_gap=2, max_mean_gap=1.5)


def test_uniform_is_defined_for_any_count():
    assert [uniform(count) for count in range(4)] == [[], [0.0], [0.0, 1.0], [0.0, 0.5, 1.0]]


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=30), st.integers(3, 40))
def test_even_positions_rise_from_end_to_end_under_any_easing(gaps, count):
    alphas = np.linspace(0, 1, len(gaps) + 1).tolist()
    for ease in ("none", "in", "out", "in-out"):
        chosen = pacing.even(alphas, gaps, count, ease)
        assert len(chosen) == count
        assert (chosen[0], chosen[-1]) == (0, 1)
        assert all(a < b for a, b in pairwise(chosen))


@given(st.integers(1, 100))
def test_easing_starts_or_stops_slowly_and_covers_the_way(steps):
    for ease in ("none", "in", "out", "in-out"):
        sizes = pacing.eased(steps, ease)
        assert len(sizes) == steps
        assert sum(sizes) == pytest.approx(1)
        assert min(sizes) > 0
        if steps > 2:
            assert (sizes[0] < 0.99 / steps) == (ease in ("in", "in-out"))
            assert (sizes[-1] < 0.99 / steps) == (ease in ("out", "in-out"))


def test_the_longer_stretch_gets_more_frames():
    stretches = [pacing.length([0.01]), pacing.length([0.04, 0.01])]  # root distances 1 to 3
    assert pacing.shares(stretches, 6) == [1, 5]
    assert pacing.length([0.04, 0.01], power=1) == pytest.approx(0.05)


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(3, 20))
def test_nearest_places_ascend_and_are_taken_once_where_there_are_enough(between, count):
    places = uniform(count)
    alphas = [0.0, *sorted(between), 1.0]
    taken = nearest(alphas, places)
    assert (taken[0], taken[-1]) == (0, 1)
    assert taken == sorted(taken)
    assert set(taken[1:-1]) <= set(places[1:-1])
    assert len(set(taken)) == len(taken) or len(taken) > count


def test_nearest_places_are_the_nearest_where_no_two_alphas_want_the_same():
    assert nearest([0, 0.2, 0.6, 1], uniform(5)) == [0, 0.25, 0.5, 1]
    assert nearest([0, 0.5, 0.5, 1], uniform(5)) == [0, 0.5, 0.75, 1]
    assert nearest([0, 0.99, 1, 1], uniform(5)) == [0, 0.5, 0.75, 1]
    assert nearest([0, 0.1, 0.2, 0.9, 0.95, 1], uniform(3)) == [0, 0.5, 0.5, 0.5, 0.5, 1]
