"""How far apart neighbours look, as plots."""

import pytest

from pipelines.between.rendered_way import Curve
from pipelines.job.result import Paced, load_result
from pipelines.report.distances import _uniform
from tests.conftest import SAMPLES
from tests.pipelines.report.conftest import Page, page_of, render


def test_plots_are_described_and_show_both_before_and_after(page, job):
    assert len(page.all("svg", role="img")) == 2
    described = {
        attributes["id"] for tag, attributes in page.elements if tag in ("title", "desc") and "id" in attributes
    }
    for svg in page.all("svg"):
        assert set(svg["aria-labelledby"].split()) <= described
    (before, after), (gaps_before, gaps_after) = (
        [attributes["points"].split() for attributes in page.all("polyline")[start : start + 2]] for start in (0, 2)
    )
    (segment,) = load_result(job).segments
    assert len(before) == len(segment.measured.alphas) >= len(segment.shown.alphas) == len(after) == 7
    assert len(gaps_before) == len(gaps_after) == 6
    assert before[-1] == after[-1]  # both are all the way there at the end
    assert set(segment.shown.alphas) <= set(segment.measured.alphas)


def test_a_loop_of_several_keyframes_is_surveyed_and_eased(folder, tmp_path):
    images = [SAMPLES / name for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")]
    values = {"frames": 12, "repeat": "loop", "ease": "in-out"}
    job = render(folder, tmp_path / "loop.mp4", images, values)
    result = load_result(job)
    assert len(result.segments) == 3
    assert sum(len(segment.shown.gaps) for segment in result.segments) == 12
    page = Page(page_of(job, tmp_path / "loop.html"))
    assert "survey distances" in page.text["timings"]
    assert "on purpose" in page.text["distances"]
    points = [attributes["points"].split() for attributes in page.all("polyline")]
    assert [len(line) for line in points[1:]] == [13, 12, 12]
    for line in points[:2]:  # both ways only go on
        ways = [[float(number) for number in point.split(",")] for point in line]
        assert ways == sorted(ways)
        assert ways == sorted(ways, key=lambda place: -place[1])


def test_two_frames_have_nothing_to_pace(folder, tmp_path):
    job = render(folder, tmp_path / "one.mp4", [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"], {"frames": 2})
    page = Page(page_of(job, tmp_path / "one.html"))
    assert "nothing to pace" in page.text["distances"]
    assert not page.all("svg")


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_what_was_not_rendered_is_read_off_by_the_power_of_the_way(power):
    """A way that goes evenly, measured more coarsely in its second half."""
    alphas = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0]
    measured = Curve(alphas, [0.01] * 5 + [0.01 * 5**power], power)
    assert _uniform(Paced(measured, measured, None), 10, "none") == pytest.approx([0.01] * 10)
