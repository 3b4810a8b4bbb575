from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler

from morph.diffusion.schedule import CLEAN, VariancePreserving
from morph.errors import ModelError, SettingsError


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [4, 20, 50])
def test_times_are_those_of_diffusers(spacing, steps):
    reference = DDIMScheduler(beta_schedule="scaled_linear", timestep_spacing=spacing, steps_offset=1)
    reference.set_timesteps(steps)
    times = VariancePreserving.from_config(reference.config).times(steps)
    assert times == (*reference.timesteps.tolist(), CLEAN)


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
@pytest.mark.parametrize("clean", [True, False])
def test_levels_are_those_of_diffusers(beta_schedule, clean):
    reference = DDIMScheduler(beta_schedule=beta_schedule, set_alpha_to_one=clean)
    schedule = VariancePreserving.from_config(reference.config)
    assert torch.allclose(schedule.alpha_bar.float(), reference.alphas_cumprod, atol=1e-6)
    alpha_t, sigma_t = schedule.level(CLEAN)
    assert float(alpha_t**2) == pytest.approx(float(reference.final_alpha_cumprod), abs=1e-6)
    assert float(alpha_t**2 + sigma_t**2) == pytest.approx(1)


@pytest.mark.parametrize(("steps", "taken"), [(20, 6), (20, 19), (7, 1), (5, 3)])
def test_fewer_steps_are_some_of_all_between_the_same_ends(steps, taken):
    schedule = VariancePreserving.from_config({})
    all_times, taken_times = schedule.times(steps), schedule.times(steps, taken)
    assert len(taken_times) == taken + 1
    assert (taken_times[0], taken_times[-1]) == (all_times[0], all_times[-1])
    assert list(taken_times) == sorted(set(taken_times) & set(all_times), reverse=True)
    assert schedule.times(steps, steps) == schedule.times(steps, steps + 1) == all_times


def test_noise_at_a_batch_of_times_is_noise_at_each():
    schedule = VariancePreserving.from_config({})
    clean, eps = torch.randn(2, 3, 4, 8, 8)
    t = torch.tensor([0, 500, 999])
    batch = schedule.noise(clean, eps, t)
    for i in range(3):
        assert torch.allclose(batch[i], schedule.noise(clean[i], eps[i], int(t[i])), atol=1e-5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prediction_type", "sample"),
        ("beta_schedule", "cosine"),
        ("timestep_spacing", "karras"),
        ("rescale_betas_zero_snr", True),
        ("trained_betas", [0.1]),
    ],
)
def test_what_is_not_supported_is_named(key, value):
    config = {key: value}
    with pytest.raises(ModelError, match=key):
        VariancePreserving.from_config(config)


@pytest.mark.parametrize("steps", [0, -1, 1001, 1, 2, 550, 600, 700])
def test_counts_of_steps_that_do_not_start_from_noise_are_refused(steps):
    with pytest.raises(SettingsError, match="steps"):
        VariancePreserving.from_config({}).times(steps)


def test_halfway_lies_between_and_is_in_the_middle_by_sigma_over_alpha():
    schedule = VariancePreserving.from_config({})
    times = schedule.times(20)

    def ratio(t):
        alpha, sigma = schedule.level(t)
        return float(sigma / alpha)

    for s, t in pairwise(times[:-1]):
        middle = schedule.halfway(s, t)
        assert middle == schedule.halfway(t, s)
        assert t < middle < s
        wanted = (ratio(s) + ratio(t)) / 2
        assert abs(ratio(middle) - wanted) <= min(abs(ratio(middle + by) - wanted) for by in (-1, 1))
    assert schedule.halfway(1, CLEAN) in (0, 1)
