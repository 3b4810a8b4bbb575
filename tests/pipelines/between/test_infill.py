"""Frames between two knots that stay where they are: every stage a switch of the settings."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from pipelines.between.infill import Infill
from pipelines.between.keyframes import silent
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import captured, finished_frames

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 3, "lora.rank": 2, "batch": 3, "size": "64"})


@pytest.fixture(scope="module")
def model(folder):
    """One kind of prediction: what a frame is made of is tested for both elsewhere."""
    return load_model(str(folder))


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]


def test_a_frame_at_an_end_is_what_the_pipeline_makes_of_that_end(model, keyframes):
    settings = changed(QUICK, {"fade": 0, "noise": 0.5})
    first, second = captured(model, keyframes, settings)
    ends = Infill(model, first, second, settings).render([0.0, 1.0], silent)
    assert torch.allclose(ends[:1], first.keyframe.pixels - first.residual, atol=1e-3)
    assert torch.allclose(ends[1:], second.keyframe.pixels - second.residual, atol=1e-3)


@pytest.mark.parametrize(
    "switch",
    [{"lora.steps": 0}, {"attention": 0}, {"sharing": "joint"}, {"adain": False}, {"fade": 0}, {"noise": 0.3}],
)
def test_every_stage_can_be_left_out_and_makes_a_difference(model, keyframes, switch):
    settings = changed(QUICK, {"lora.learning_rate": 1e-2})
    frames = {}
    for name, chosen in (("with", settings), ("without", changed(settings, switch))):
        frames[name] = finished_frames(model, captured(model, keyframes, chosen), chosen, [0.2])
    assert not torch.equal(frames["with"], frames["without"])


def test_one_keyframe_may_go_without_a_lora(model, keyframes):
    settings = changed(QUICK, {"lora.learning_rate": 1e-2, "fade": 0})
    plain = captured(model, keyframes, changed(settings, {"lora.steps": 0}))
    adapted = captured(model, keyframes, settings)
    for ends in ((adapted[0], plain[1]), (plain[0], adapted[1])):
        frames = Infill(model, *ends, settings).render([0.0, 1.0], silent)
        assert torch.allclose(frames, torch.cat([end.keyframe.pixels - end.residual for end in ends]), atol=1e-3)
