"""Pictures noised and painted anew."""

import torch

from morph import random
from morph.diffusion.guidance import conditioned
from morph.editing.noised import sdedit, turned
from morph.steps import drain


def test_the_less_noise_the_more_of_the_picture_stays(model):
    clean = random.normal((2, 4, 8, 8), 0, "clean")
    noise = random.normal((1, 4, 8, 8), 0, "noise")
    predict = conditioned(model.conditional(), model.embed(["a cat"]).expand(2))
    errors = []
    for skip in (0.0, 0.5, 0.9):
        times = model.schedule.times(10, skip=skip)
        steps = []
        painted = drain(sdedit(predict, model.schedule, clean, noise, times), steps.append)
        assert [step.t for step in steps] == list(times[1:])
        errors.append(float((painted - clean).square().mean()))
    assert errors[0] > errors[1] > errors[2] > 0
    # a sample's own noise is that of all, so that frames of a film do not flicker
    alone = drain(
        sdedit(conditioned(model.conditional(), model.embed(["a cat"])), model.schedule, clean[1:], noise, times)
    )
    torch.testing.assert_close(alone, painted[1:], rtol=1e-4, atol=1e-4)


def test_turned_noise_stays_as_long_as_noise_is():
    noise, fresh = (random.normal((1, 4, 64, 64), 0, name) for name in ("one", "other"))
    assert torch.equal(turned(noise, fresh, 0.0), noise)
    half = turned(noise, fresh, 0.5)
    assert abs(float(half.std()) - 1) < 0.02
    cosine = torch.nn.functional.cosine_similarity(half.flatten(), noise.flatten(), dim=0)
    assert abs(float(cosine) - 0.5**0.5) < 0.02
