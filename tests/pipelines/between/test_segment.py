"""Frames anywhere on a way, between its knots."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe, to_uint8
from pipelines.between.keyframes import capture_keyframe, invert_keyframes, silent
from pipelines.between.segment import Knot, Segment
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, fitted

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 0, "size": "64"})


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def knots(model):
    """Three photographs, as if the second were an anchor."""
    keyframes = [load_keyframe(SAMPLES / name, "", (64, 64)) for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")]
    made = invert_keyframes(model, fitted(model, keyframes, QUICK), QUICK, silent, [0.0, 0.5, 1.0])
    return [Knot(at, one, name) for at, one, name in zip((0.0, 0.5, 1.0), made, "abc", strict=True)]


@pytest.fixture
def segment(model, knots):
    """A segment, and the names of the knots that were captured for it."""
    asked = []

    def capture(knot):
        asked.append(knot.name)
        return capture_keyframe(model, knot.keyframe, QUICK, model.schedule.times(4), silent, knot.alpha)

    return Segment(model, knots, QUICK, capture, lambda knot: knot.keyframe.pixels), asked


def test_only_what_stands_beside_a_frame_is_captured(segment):
    frames, asked = segment
    spent = Spent()
    assert frames.render([0.1, 0.4], spent).shape == (2, 3, 64, 64)
    assert asked == ["a", "b"]
    assert spent == {"render": 2 * 4}


def test_a_frame_is_the_same_whichever_others_are_made_with_it(segment):
    frames, _ = segment
    together = frames.render([0.3, 0.6, 0.9], silent)
    for alpha, frame in zip((0.3, 0.6, 0.9), together.split(1), strict=True):
        assert torch.allclose(frames.render([alpha], silent), frame, atol=1e-3)


def test_near_a_knot_a_frame_is_finished_with_the_knots_own_pixels(segment, knots):
    frames, _ = segment
    for alpha, knot in ((1e-6, knots[0]), (0.5 - 1e-6, knots[1]), (0.5 + 1e-6, knots[1])):
        finished = frames.finished(frames.render([alpha], silent), alpha)
        off = to_uint8(finished).astype(int) - to_uint8(knot.keyframe.pixels)
        assert abs(off).max() <= 2
