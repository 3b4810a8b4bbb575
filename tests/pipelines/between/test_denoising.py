"""The denoiser between two keyframes."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.solvers import FixedPoint
from morph.errors import MorphError
from morph.media.keyframe import load_keyframe
from pipelines.between.denoising import denoise
from pipelines.between.pair import Pair
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import fitted

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 2, "lora.rank": 2, "lora.learning_rate": 1e-2})
DDIM = FixedPoint()
ALPHAS = torch.tensor([0.2, 0.8])


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def pair(model):
    names = ("cat.jpg", "raccoon.jpg")
    keyframes = [load_keyframe(SAMPLES / name, f"a {name}", (64, 64)) for name in names]
    return Pair.of(*fitted(model, keyframes, QUICK), QUICK)


@pytest.fixture
def noise(model):
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_every_step_is_told_and_every_frame_is_by_itself(model, pair, noise):
    times, told = model.schedule.times(4), []
    both = denoise(model, pair, noise, ALPHAS, times, told.append, solver=DDIM)
    assert len(told) == 4
    assert torch.equal(told[-1].latents, both)
    assert told[0].clean.shape == noise.shape
    second = denoise(model, pair, noise[1:], ALPHAS[1:], times, told.append, solver=DDIM)
    assert torch.allclose(both[1:], second, atol=1e-4)


def test_guidance_makes_a_difference_and_one_of_one_makes_none(model, pair, noise):
    times = model.schedule.times(4)
    plain, same, guided = (
        denoise(model, pair, noise, ALPHAS, times, lambda step: None, solver=DDIM, guidance=scale)
        for scale in (1, 1.0, 5)
    )
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, guided, atol=1e-3)


def test_a_network_that_overflows_is_one_clear_error(model, pair, noise):
    with pytest.raises(MorphError, match="denoising overflowed; try --dtype float32"):
        denoise(model, pair, noise * float("inf"), ALPHAS, model.schedule.times(4), lambda step: None, solver=DDIM)
