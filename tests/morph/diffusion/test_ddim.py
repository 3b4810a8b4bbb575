import torch
from diffusers import DDIMScheduler

from morph.diffusion import ddim


def predictor(model, prompts=("a photo of a cat", "a photo of a dog")):
    condition = model.embed(prompts)
    return lambda latents, t: model.predict(latents, t, condition)


def last(steps):
    *_, step = steps
    return step.latents


def test_sampling_is_that_of_diffusers(model):
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    ours = last(ddim.sample(predictor(model), model.schedule, latents, model.schedule.times(20)))

    scheduler = DDIMScheduler.from_config(
        {
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "prediction_type": model.schedule.target,
            "steps_offset": 1,
            "set_alpha_to_one": False,
            "clip_sample": False,
        }
    )
    scheduler.set_timesteps(20)
    tokens = model.embed(["a photo of a cat", "a photo of a dog"]).tokens
    theirs = latents
    for t in scheduler.timesteps:
        with torch.no_grad():
            raw = model.denoiser.network(theirs, t, encoder_hidden_states=tokens).sample
        theirs = scheduler.step(raw, t, theirs, eta=0.0).prev_sample
    assert torch.allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def round_trip_error(model, iterations, steps=10):
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    predict, times = predictor(model), model.schedule.times(steps)
    noisy = last(ddim.invert(predict, model.schedule, clean, times, iterations))
    restored = last(ddim.sample(predict, model.schedule, noisy, times))
    return float((restored - clean).square().mean().sqrt())


def test_fixed_point_iterations_close_the_round_trip(deep):
    errors = [round_trip_error(deep, iterations) for iterations in (1, 2, 5)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < errors[0] / 5


def test_a_leap_ends_near_where_steps_do_by_two_evaluations(model):
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    times = model.schedule.times(16)[-5:]
    times_asked = []

    def predict(latents, t):
        times_asked.append(t)
        return predictor(model)(latents, t)

    leapt = last(ddim.leap(predict, model.schedule, clean, times))
    assert times_asked == [times[-2], times[0]]
    stepped = last(ddim.invert(predictor(model), model.schedule, clean, times, 3))
    noise = (stepped - clean).square().mean()
    assert (leapt - stepped).square().mean() < 0.1 * noise


def test_inversion_of_one_sample_does_not_depend_on_its_batch(model):
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    times = model.schedule.times(5)
    batch = last(ddim.invert(predictor(model), model.schedule, clean, times))
    alone = last(ddim.invert(predictor(model, ["a photo of a dog"]), model.schedule, clean[1:], times))
    assert torch.allclose(batch[1:], alone, atol=1e-4)


def test_the_clean_latents_and_noise_of_a_prediction_make_up_the_noisy_ones(model):
    latents = torch.randn(2, 4, 8, 8)
    clean, noise = predictor(model)(latents, 700)
    assert torch.allclose(model.schedule.noise(clean, noise, 700), latents, atol=1e-4)


def test_every_step_says_where_it_has_come_to(model):
    """Down or up, its latents are its clean ones at its time, with the noise that is left of them."""
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    times, predict = model.schedule.times(4), predictor(model)
    down = list(ddim.sample(predict, model.schedule, latents, times))
    up = list(ddim.invert(predict, model.schedule, latents, times, 1))
    assert tuple(step.t for step in down) == times[1:]
    assert tuple(step.t for step in up) == times[-2::-1]
    clean, noise = predict(latents, times[0])
    assert torch.equal(down[0].clean, clean)
    assert torch.equal(down[0].latents, model.schedule.noise(clean, noise, times[1]))
    latents_before, t = latents, times[-1]
    for step in up:
        alpha_t, sigma_t = model.schedule.level(t)
        noise = ((latents_before - alpha_t * step.clean) / sigma_t).float()
        assert torch.allclose(model.schedule.noise(step.clean, noise, step.t), step.latents, atol=1e-3)
        latents_before, t = step.latents, step.t
