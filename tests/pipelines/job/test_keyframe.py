"""One picture at the size of a clip of it."""

from pipelines.job.keyframe import sized
from tests.conftest import SAMPLES


def test_sizes_are_those_of_a_clip(embedded):
    keyframe, sizes = sized(SAMPLES / "cat.jpg", embedded.geometry, "320x192", "auto")
    assert keyframe.pixels.shape == (1, 3, 192, 320)
    assert sizes.frame == (320, 192)
    assert all(side % embedded.geometry.stride == 0 for side in sizes.model)
