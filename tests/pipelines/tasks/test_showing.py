"""The frames of a way that are shown: rendered, or interpolated between those that are."""

import numpy as np
import pytest

from pipelines.request.settings import Settings, changed
from pipelines.tasks.fields import Fields
from pipelines.tasks.models import Models
from pipelines.tasks.showing import rendered_numbers, way_frames
from pipelines.tasks.store import FRAMES, Reel
from tests.pipelines.conftest import bench_of, clip
from tests.pipelines.tasks.conftest import PAIR, run_out


def test_what_is_interpolated_goes_to_a_reel_of_its_own(fade, tmp_path):
    track, batches = fade()
    inbetween = {"inbetween.frames": "1", "inbetween.method": "blend", "inbetween.threshold": 10}
    settings = changed(Settings(), {"pacing": "uniform", "frames": 5, "size": "64", **inbetween})
    bench = bench_of(Models.without_model(), clip(PAIR, settings), tmp_path)
    (way,) = bench.plan.ways
    parts, shown = run_out(way_frames(bench, Fields(bench), way, 4, track.measured, track, "reel"))
    assert parts == []  # gaps to what is interpolated are not known before
    assert batches == [[0.5]]
    other = shown.reels[1]
    assert shown.reels == ["reel", other, "reel", other, "reel"]
    between = Reel(tmp_path / FRAMES / other)
    assert between.holds([0.25, 0.75])
    ends = [Reel(tmp_path / FRAMES / "reel").frame(at).astype(float) for at in (0, 0.5)]
    assert np.abs(between.frame(0.25) - sum(ends) / 2).max() <= 1


@pytest.mark.parametrize(
    ("frames", "numbers"), [("0", None), ("auto", [0, 7]), ("1", [0, 2, 4, 6, 7]), ("2", [0, 3, 6, 7])]
)
def test_frames_that_are_rendered_for_sure(frames, numbers):
    assert rendered_numbers(7, changed(Settings(), {"inbetween.frames": frames})) == numbers
