"""When frames are shown: even, uneven, held, rounded by a container."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morph.media.times import Times

CENTI, MILLI = Fraction(1, 100), Fraction(1, 1000)
NTSC = Fraction(24000, 1001)


@pytest.mark.parametrize("delay", [2, 4, 7, 10, 13, 14])
def test_equal_delays_are_even_whatever_the_rate_is(delay):
    times = Times.stamped([delay * number for number in range(8)], CENTI, delay, Fraction(2858, 100))
    assert (times.fps, times.end) == (Fraction(100, delay), 8 * delay * CENTI)
    assert not times.held


def test_two_frames_are_even():
    assert Times.stamped([0, 10], CENTI, 10).fps == 10
    assert Times.stamped([0, 42], MILLI, 41, NTSC).fps == NTSC
    assert Times.stamped([7], CENTI, 10) == Times.even(1, Fraction(10))


@pytest.mark.parametrize("rate", [Fraction(24), NTSC, Fraction(30000, 1001), Fraction(60), Fraction(25, 2)])
@pytest.mark.parametrize("stated", [True, False])
def test_rounded_stamps_give_the_exact_rate(rate, stated):
    stamps = [round(number / rate / MILLI) for number in range(300)]
    times = Times.stamped(stamps, MILLI, round(1 / rate / MILLI), rate if stated else None)
    assert times == Times.even(300, rate)


def test_a_rate_that_no_one_names_is_the_mean():
    times = Times.stamped([3015 * number for number in range(100)], Fraction(1, 90000), 3015)
    assert times.fps == Fraction(2000, 67)  # 29.851, and not 30
    times = Times.stamped([round(number * 1000 / 29.857) for number in range(1000)], MILLI)
    assert float(times.fps) == pytest.approx(29.857, abs=0.001)


def test_the_last_frame_is_held():
    times = Times.stamped([10 * number for number in range(8)], CENTI, 200, Fraction(10))
    assert (times.fps, times.end, times.held) == (10, Fraction(27, 10), True)
    assert times.starts == Times.even(8, Fraction(10)).starts


def test_uneven_times_stay_as_they_are():
    times = Times.stamped([5, 6, 8, 9, 20], CENTI, 5, Fraction(30))
    assert times.fps is None
    assert times.starts == tuple(Fraction(stamp, 100) for stamp in (0, 1, 3, 4, 15))
    assert (times.end, times.mean, times.held) == (Fraction(20, 100), 25, False)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40), st.integers(0, 50))
def test_any_stamps_give_times_that_never_descend(stamps, last):
    times = Times.stamped(stamps, MILLI, last)
    assert len(times.starts) == len(stamps)
    assert times.starts[0] == 0
    assert list(times.starts) == sorted(times.starts)
    assert times.end >= times.starts[-1]
    assert times.mean > 0


@pytest.mark.parametrize("uneven", [False, True])
def test_a_film_of_many_frames_takes_no_time(uneven):
    stamps = [round(number / NTSC / MILLI) for number in range(200_000)]
    stamps[-1] += 500 * uneven
    began = time.process_time()
    times = Times.stamped(stamps, MILLI, 42, Fraction(24))
    assert time.process_time() - began < 20  # were every stamp compared with every other, it would take minutes
    assert times.fps == (None if uneven else NTSC)
