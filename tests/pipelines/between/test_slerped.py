"""Frames between clean latents: slerps at any position, and nothing denoised."""

import pytest
import torch

from morph.blending.interpolation import slerp
from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from pipelines.between.keyframes import silent
from pipelines.between.slerped import SlerpedInfill
from pipelines.request.costs import costs
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import clip, fitted


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


def test_frames_anywhere_are_slerps_of_the_keyframes(model):
    keyframes = [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]
    first, second = fitted(model, keyframes, changed(load_preset("interpolate_only"), {"size": "64", "steps": 10}))
    told = []
    frames = SlerpedInfill(model, first, second).render([0.1, 0.37, 0.9], lambda *step: told.append(step))
    assert told == []
    for alpha, frame in zip((0.1, 0.37, 0.9), frames, strict=True):
        expected = model.decode(slerp(first.latents, second.latents, torch.tensor([alpha])))
        assert torch.allclose(frame, expected[0], atol=1e-5)
    assert torch.allclose(
        SlerpedInfill(model, first, second).render([0.0], silent), model.decode(first.latents), atol=1e-5
    )


@pytest.mark.parametrize("frames", [7, 17, 24])
def test_a_plan_of_interpolation_alone_asks_for_no_denoiser(frames):
    settings = changed(load_preset("interpolate_only"), {"frames": frames})
    assert costs(clip(("cat.jpg", "raccoon.jpg"), settings)) == {}
