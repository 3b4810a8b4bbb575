import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morph.pacing import Evenness, refine, shares, uniform

positive = st.lists(st.floats(1e-3, 10), min_size=1, max_size=12)


@given(positive, st.integers(0, 40))
def test_shares_spend_everything_and_no_move_would_help(gaps, extra):
    got = shares(gaps, extra)
    assert sum(got) == extra
    worst = max(gap / (n + 1) for gap, n in zip(gaps, got, strict=True))
    for gap, n in zip(gaps, got, strict=True):
        if n:  # taking a frame away from any gap makes it at least as bad as the worst now
            assert gap / n >= worst - 1e-12


def test_shares_favour_the_ends_at_a_tie():
    assert shares([1.0, 1.0, 1.0], 2) == [1, 0, 1]


@given(positive, st.integers(1, 40), st.integers(1, 8))
def test_refine_puts_new_frames_strictly_between_old_ones(gaps, extra, batch):
    alphas = uniform(len(gaps) + 1)
    new = refine(alphas, gaps, extra, batch)
    assert 1 <= len(new) <= min(extra, batch)
    assert new == sorted(set(new) - set(alphas))
    assert all(0 < alpha < 1 for alpha in new)


def closed_loop(way: Callable[[float], float], frames: int, batch: int) -> list[float]:
    """Gaps of a track whose frame at alpha stands ``way(alpha)`` along a line."""
    alphas = uniform(5)
    while len(alphas) < frames:
        left = frames - len(alphas)
        gaps = np.diff([way(alpha) for alpha in alphas]).tolist()
        alphas = sorted(alphas + refine(alphas, gaps, left, min(batch, (left + 1) // 2)))
    assert len(alphas) == frames
    return np.diff([way(alpha) for alpha in alphas]).tolist()


@pytest.mark.parametrize("frames", [17, 24, 48])
@pytest.mark.parametrize(
    "way",
    [
        lambda alpha: alpha,
        lambda alpha: alpha**3,
        lambda alpha: 1 / (1 + math.exp(-20 * (alpha - 0.4))),
        lambda alpha: alpha**0.5,
    ],
    ids=["even", "cubic", "step", "root"],
)
def test_the_closed_loop_evens_out_any_pace(way, frames):
    uneven = Evenness.of(np.diff([way(alpha) for alpha in uniform(frames)]).tolist())
    even = Evenness.of(closed_loop(way, frames, 8))
    assert even.max_mean_gap <= 1.5
    if uneven.pdv > 1e-12:
        assert even.pdv <= uneven.pdv / 3


def test_identical_frames_are_spaced_by_alpha():
    assert refine([0.0, 0.5, 1.0], [0.0, 0.0], 2, 2) == [0.25, 0.75]


def test_evenness_of_nothing_one_gap_and_identical_frames_is_defined():
    assert Evenness.of([]) == Evenness(ppl=0, pdv=0, mean_gap=0, max_mean_gap=1)
    assert Evenness.of([0.0, 0.0]).max_mean_gap == 1
    assert Evenness.of([1.0, 3.0]) == Evenness(ppl=4, pdv=1, mean_gap=2, max_mean_gap=1.5)


def test_uniform_is_defined_for_any_count():
    assert [uniform(count) for count in range(4)] == [[], [0.0], [0.0, 1.0], [0.0, 0.5, 1.0]]
