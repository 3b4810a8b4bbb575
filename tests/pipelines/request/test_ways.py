"""The ways of a clip."""

import pytest

from pipelines.request.clip import clip_of
from pipelines.request.levels import plan_anchors
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from pipelines.request.ways import Way, fills_in, idle_inversion, ways


def test_anchors_stand_only_where_frames_are_between():
    settings = changed(Settings(), {"anchors.depth": 3})
    assert Way(settings, 1).anchors == Way(settings, 0).anchors == []
    assert Way(settings, None).anchors == Way(settings, 2).anchors == plan_anchors(settings)


def test_frames_are_filled_in_only_where_no_anchor_stands():
    whole = changed(Settings(), {"pacing": "uniform", "anchors.depth": 4})
    assert not fills_in(Way(whole, 16))
    assert not fills_in(Way(whole, 8))
    assert fills_in(Way(whole, 15))
    assert fills_in(Way(changed(whole, {"pacing": "even"}), 16))
    assert fills_in(Way(changed(whole, {"ease": "in"}), 16))
    assert not fills_in(Way(Settings(), 1))
    assert fills_in(Way(whole, None))


@pytest.mark.parametrize(("repeat", "ends"), [("once", [(0, 1), (1, 2)]), ("loop", [(0, 1), (1, 2), (2, 0)])])
def test_ways_know_their_place_and_their_ends(repeat, ends):
    clip = clip_of(["a.png", "b.png", "c.png"], (), changed(Settings(), {"frames": 12, "repeat": repeat}))
    every = ways(clip)
    assert [way.ends for way in every] == ends
    assert [way.number for way in every] == list(range(len(ends)))
    assert {way.twins for way in every} == {0}


def test_the_same_two_images_again_are_twins():
    clip = clip_of(["a.png", "b.png", "a.png", "b.png"], (), Settings())
    assert [way.twins for way in ways(clip)] == [0, 0, 1]
    other = clip_of(["a.png", "b.png", "a.png", "b.png"], ["one", "two", "one", "three"], Settings())
    assert [way.twins for way in ways(other)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("preset", "values", "said"),
    [
        ("default", {}, ""),
        ("default", {"inversion": "uni-inv"}, "inversion=uni-inv does nothing: "),
        ("default", {"inversion": "fireflow"}, "inversion=fireflow only decides how frames are denoised: "),
        ("default", {"inversion": "uni-inv", "align.inversion": "steps"}, ""),
        ("default", {"inversion": "uni-inv", "align.on": False}, ""),
        ("diffmorpher", {"inversion": "uni-inv"}, ""),
        ("warp", {"inversion": "uni-inv"}, ""),
    ],
)
def test_an_inversion_that_does_nothing_is_told_of(preset, values, said):
    (way,) = ways(clip_of(["a.png", "b.png"], (), changed(load_preset(preset), values)))
    told = idle_inversion(way)
    assert told.startswith(said)
    assert bool(told) == bool(said)
