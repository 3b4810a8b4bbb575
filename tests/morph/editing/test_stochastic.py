import pytest
import torch

from morph.diffusion.prediction import Prediction
from morph.diffusion.schedule import CLEAN
from morph.editing.stochastic import denoised, noised_further
from tests.morph.editing.gaussian import SCHEDULES, schedules


def normal(seed, count=4):
    return torch.randn(count, 4, 64, 64, generator=torch.Generator().manual_seed(seed))


@schedules
def test_steps_down_and_up_keep_to_the_schedules_noise(schedule):
    """With what is true for what is believed, latents have a schedule's share of the picture and of noise."""
    times = schedule.times(10)
    clean = torch.full((4, 4, 64, 64), 0.7)
    latents = schedule.noise(clean, normal(0), times[2])
    alpha, sigma = (float(level) for level in schedule.level(times[2]))
    believed = Prediction(clean, (latents - alpha * clean) / sigma)
    down = denoised(schedule, believed, times[2], times[6], normal(1))
    up = noised_further(schedule, down, times[6], times[2], normal(2))
    for latents_there, t in ((down, times[6]), (up, times[2])):
        alpha, sigma = (float(level) for level in schedule.level(t))
        assert float(latents_there.mean()) == pytest.approx(0.7 * alpha, abs=0.02)
        assert float(latents_there.std()) == pytest.approx(sigma, rel=0.02)


@schedules
def test_eta_is_from_ddim_to_ancestral(schedule):
    s, t = schedule.times(10)[3:5]
    believed = Prediction(normal(0), normal(1))
    plain = denoised(schedule, believed, s, t, normal(2), eta=0.0)
    assert torch.allclose(plain, schedule.noise(*believed, t), atol=1e-5)
    assert not torch.allclose(denoised(schedule, believed, s, t, normal(2)), plain, atol=0.1)
    last = denoised(schedule, believed, t, CLEAN, normal(2))
    assert torch.allclose(last, schedule.noise(*believed, CLEAN), atol=1e-5)


def test_the_ancestral_step_is_that_of_ddpm():
    from diffusers import DDPMScheduler

    schedule = SCHEDULES["diffusion"]
    theirs = DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        variance_type="fixed_small",
    )
    latents, noise = normal(0), normal(1)
    expected = theirs.step(noise, 500, latents, generator=torch.Generator().manual_seed(3)).prev_sample
    fresh = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    got = denoised(schedule, schedule.prediction(latents, 500, noise), 500, 499, fresh)
    assert torch.allclose(got, expected, atol=1e-4)
