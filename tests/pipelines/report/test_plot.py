"""Line plots as they are drawn."""

import re

import pytest

from pipelines.report.plot import DOTTED_TO, HEIGHT, WIDTH, Line, plot, ticks


def test_the_ends_of_a_line_are_where_the_axes_say():
    lines = [Line("one & two", "after", [(0, 0), (5, 2), (10, 4)])]
    drawn = plot("way", "A <title>", "What it shows.", ("frames", "change"), lines)
    ((left, bottom), (middle, half), (right, top)) = (
        tuple(map(float, point.split(","))) for point in re.search(r'points="([^"]+)"', drawn)[1].split()
    )
    assert (middle, half) == ((left + right) / 2, (top + bottom) / 2)
    assert 0 < left < right < WIDTH
    assert 0 < top < bottom < HEIGHT
    assert f'<text x="{right}" y="{bottom + 17}" text-anchor="middle">10</text>' in drawn
    assert f'y="{top + 4}" text-anchor="end">4</text>' in drawn
    assert "A &lt;title&gt;" in drawn
    assert "one &amp; two" in drawn
    assert drawn.count("<circle") == 3


def test_many_points_are_a_line_without_dots():
    points = [(number, 1) for number in range(DOTTED_TO + 1)]
    assert "<circle" not in plot("gaps", "", "", ("", ""), [Line("", "", points)])
    with pytest.raises(ValueError, match="max"):
        plot("gaps", "", "", ("", ""), [])


@pytest.mark.parametrize("top", [1e-9, 0.0123, 0.99, 1, 3, 24, 100, 2047])
def test_ticks_are_round_and_cover_everything(top):
    found = ticks(top)
    assert found[0] == 0
    assert found[-2] < top <= found[-1] * 1.000001
    assert 4 <= len(found) - 1 <= 9
    assert ticks(0) == [0, 1]
    assert all(tick == int(tick) for tick in ticks(max(top, 2), integers=True))
