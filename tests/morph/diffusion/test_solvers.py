"""Inversions, and the samplings that bring back what they find."""

import pytest
import torch

from morph.diffusion.guidance import conditioned
from morph.diffusion.schedule import CLEAN
from morph.diffusion.solvers import FireFlow, FixedPoint, Likeness, RfInversion, Solver, UniInv, solver_of
from morph.media.keyframe import load_keyframe
from morph.steps import drain
from tests.conftest import SAMPLES

PHOTOGRAPHS = ("cat", "raccoon", "hopper", "coffee")
EXACT = {"fixed-point": FixedPoint(3), "uni-inv": UniInv(), "fireflow": FireFlow()}
EVERY = {**EXACT, "rf-inversion": RfInversion(0)}


def by_name(solvers):
    return pytest.mark.parametrize("solver", solvers.values(), ids=solvers)


@pytest.fixture(scope="module")
def photographs(embedded):
    pixels = [load_keyframe(SAMPLES / f"{name}.jpg", "", (128, 128)).pixels for name in PHOTOGRAPHS]
    return embedded.encode(torch.cat(pixels))


def decibels(embedded, latents, again):
    """PSNR (B,) of decoded latents (B,C,h,w)."""
    first, second = (embedded.decode(one).clamp(-1, 1) for one in (latents, again))
    return 10 * torch.log10(4 / (first - second).square().mean((1, 2, 3)))


def round_trip(model, solver, latents, steps):
    """The noise of latents (B,C,h,w), and what is sampled of it."""
    predict = conditioned(model.conditional(), model.embed([""] * len(latents)))
    times = model.schedule.times(steps)
    noise = drain(solver.invert(predict, model.schedule, latents, times))
    like = Likeness(latents, torch.ones(len(latents)))
    return noise, drain(solver.sample(predict, model.schedule, noise, times, like))


@pytest.mark.slow
@by_name(EXACT)
def test_photographs_come_back_from_noise_that_looks_like_noise(embedded, photographs, solver):
    noise, again = round_trip(embedded, solver, photographs, 20)
    assert float(decibels(embedded, photographs, again).min()) >= 30
    variance = noise.var((1, 2, 3))
    assert 0.8 <= float(variance.min()) <= float(variance.max()) <= 1.2
    centred = noise - noise.mean((2, 3), keepdim=True)
    beside = (centred[..., 1:] * centred[..., :-1]).mean((1, 2, 3)) / centred.square().mean((1, 2, 3))
    assert float(beside.abs().max()) <= 0.1


@pytest.mark.slow
@by_name(EXACT)
def test_photographs_come_back_in_as_many_steps_as_is_usual(embedded, photographs, solver):
    _, again = round_trip(embedded, solver, photographs[:2], 50)
    assert float(decibels(embedded, photographs[:2], again).min()) >= 45


def test_rf_inversion_is_not_exact_and_draws_all_images_to_one_noise(embedded, photographs):
    two = photographs[:2]
    drawn, again = round_trip(embedded, RfInversion(0), two, 10)
    free, _ = round_trip(embedded, UniInv(), two, 10)
    assert float(decibels(embedded, two, again).max()) < 30

    def likeness(noise):
        return float(torch.corrcoef(noise.flatten(1))[0, 1])

    assert likeness(drawn) > 0.3 > abs(likeness(free))
    other, _ = round_trip(embedded, RfInversion(1), two[:1], 10)
    assert not torch.allclose(other, drawn[:1], atol=0.1)


def test_what_latents_should_be_like_draws_them_there_as_far_as_it_is_said(embedded, photographs):
    predict = conditioned(embedded.conditional(), embedded.embed(["", ""]))
    noise = torch.randn(2, *photographs.shape[1:], generator=torch.Generator().manual_seed(0))
    times, wanted = embedded.schedule.times(12), photographs[:1]

    def sampled(like):
        return drain(RfInversion(0).sample(predict, embedded.schedule, noise, times, like))

    plain, partly = sampled(None), sampled(Likeness(wanted, torch.tensor([0.0, 1.0])))
    assert torch.allclose(partly[0], plain[0], atol=1e-4)
    assert (partly[1] - wanted).square().mean() < 0.8 * (plain[1] - wanted).square().mean()


@by_name(EVERY)
def test_it_asks_when_it_says(model, solver):
    """And is told of as often."""
    text, times, schedule = model.embed(["a cat"]), model.schedule.times(6), model.schedule
    asked = []

    def predict(latents, t):
        asked.append(t)
        return model.predict(latents, t, text)

    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    steps = list(solver.sample(predict, schedule, latents, times, Likeness(latents, torch.ones(1))))
    assert asked == list(solver.sampled_at(schedule, times))
    assert len(steps) == len(asked)
    assert steps[-1].t == CLEAN
    asked.clear()
    steps = list(solver.invert(predict, schedule, latents, times))
    once = list(dict.fromkeys(asked))
    assert once[::-1] == list(solver.inverted_at(schedule, times))
    assert len(steps) == len(asked)
    assert steps[-1].t == times[0]


@by_name(EVERY)
def test_without_a_step_latents_stay_as_they_are(model, solver):
    latents, like = torch.ones(1, 4, 8, 8), Likeness(torch.zeros(1, 4, 8, 8), torch.ones(1))
    assert drain(solver.sample(None, model.schedule, latents, (CLEAN,), like)) is latents
    assert drain(solver.invert(None, model.schedule, latents, (CLEAN,))) is latents
    assert solver.sampled_at(model.schedule, (CLEAN,)) == solver.inverted_at(model.schedule, (CLEAN,)) == ()


@by_name(EVERY)
def test_one_of_a_batch_does_not_depend_on_the_others(model, solver):
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    noise, again = round_trip(model, solver, latents, 5)
    noise_alone, again_alone = round_trip(model, solver, latents[1:], 5)
    assert torch.allclose(noise[1:], noise_alone, atol=1e-4)
    assert torch.allclose(again[1:], again_alone, atol=1e-4)


def test_solvers_have_names():
    assert {name: solver_of(name, 3, 0) for name in EVERY} == EVERY
    assert all(isinstance(solver, Solver) for solver in EVERY.values())
