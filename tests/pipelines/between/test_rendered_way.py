"""What rendering a way tells."""

import pickle

from pipelines.between.rendered_way import Choice, Curve, RenderedWay, WayFrames


def test_a_way_whose_frames_are_final_travels_whole():
    frames = WayFrames(2, ["reel"] * 3, [0.0, 0.4, 1.0], [0.1, 0.2], "field")
    measured, choice = Curve([0.0, 0.2, 0.4, 1.0], [0.05, 0.05, 0.2]), Choice(1, [0.1, 0.3], "sheet.png")
    way = RenderedWay.of(frames, measured, {"knot": 31.5}, {0.5: choice})
    assert (way.number, way.reels, way.alphas, way.gaps, way.field) == (
        frames.number, frames.reels, frames.alphas, frames.gaps, "field"
    )  # fmt: skip
    assert (way.measured, way.round_trips, way.choices) == (measured, {"knot": 31.5}, {0.5: choice})
    assert pickle.loads(pickle.dumps(way)) == way
    assert RenderedWay.of(frames, measured).choices == {}
