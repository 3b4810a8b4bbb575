"""Keyframes laid over one another."""

import numpy as np

from pipelines.request.settings import changed
from pipelines.tasks.dissolved import DissolvedTracks
from pipelines.tasks.fields import Fields
from pipelines.tasks.models import Models
from pipelines.tasks.store import FRAMES, Reel
from pipelines.tasks.workbench import Workbench
from tests.pipelines.conftest import silent
from tests.pipelines.tasks.conftest import WARP, photographs, planned


def test_a_track_has_both_ends_and_makes_what_lies_between_at_any_size(tmp_path):
    models = Models.without_model()
    plan = planned(models, between="dissolve")
    bench = Workbench(models, plan, tmp_path, silent)
    overlay = DissolvedTracks(bench, Fields(bench))
    names = []
    for size in ((64, 64), (32, 32)):
        track, name = overlay.track(plan.ways[0], size)
        assert track.measured.alphas == [0, 1]
        track.ensure([0.25])
        reel = Reel(tmp_path / FRAMES / name)
        first, quarter, last = (reel.frame(at).astype(float) for at in (0, 0.25, 1))
        assert quarter.shape == (*size, 3)
        assert np.abs(quarter - (0.75 * first + 0.25 * last)).max() <= 1
        names.append(name)
    assert len(set(names)) == 2  # a draft is never taken for a frame


def test_without_register_it_is_a_cross_fade(dissolve):
    plain = changed(WARP, {"align.on": False, "size": "64", "frames": 3, "pacing": "uniform"})
    first, middle, last = (frame.pixels.astype(int) for frame in dissolve(photographs(), plain))
    assert np.abs(middle - (first + last) / 2).max() <= 1


def test_a_track_is_another_one_where_places_turn_otherwise(tmp_path):
    models, names = Models.without_model(), {}
    for on in (True, False):
        for how in ("local", "uniform"):
            plan = planned(models, **{"between": "dissolve", "align.on": on, "align.transition": how})
            bench = Workbench(models, plan, tmp_path, silent)
            names[on, how] = DissolvedTracks(bench, Fields(bench)).track(plan.ways[0], (32, 32))[1]
    assert names[True, "local"] != names[True, "uniform"]
    assert names[False, "local"] == names[False, "uniform"]  # which it says nothing of
