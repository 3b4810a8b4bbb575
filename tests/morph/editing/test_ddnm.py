import pytest
import torch

from morph.diffusion import ddim
from morph.diffusion.guidance import conditioned
from morph.editing.ddnm import restore
from morph.editing.jumps import walked
from morph.editing.measurement import Grey, Known, Pooled
from morph.steps import drain
from tests.morph.editing.photographs import photograph

MASK = torch.zeros(1, 1, 128, 128)
MASK[..., 32:96, 40:88] = 1
MEASUREMENTS = {"grey": Grey(), "pooled": Pooled(8), "known": Known(MASK)}


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=MEASUREMENTS)
@torch.no_grad()
def test_a_restored_picture_is_measured_as_the_photograph(embedded, measurement):
    picture = photograph("raccoon.jpg", 128)
    wanted = measurement.measured(picture)
    times = embedded.times(50, (16, 16), skip=0.8)[::2]
    noise = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    begun = measurement.spread(wanted)
    start = embedded.schedule.noise(embedded.encode(begun), noise, times[0])
    predict = conditioned(embedded.conditional(), embedded.embed(["a raccoon"]))

    steps = []
    restored = drain(restore(predict, embedded, measurement, wanted, start, times), steps.append)
    assert float((measurement.measured(restored.double()) - wanted).abs().max()) < 1e-6
    assert float(restored.abs().max()) <= 1
    assert float((restored - begun).abs().mean()) > 0.01

    plain = embedded.decode(drain(ddim.sample(predict, embedded.schedule, start, times)))
    guided = embedded.decode(steps[-1].clean)
    errors = [float((measurement.measured(each) - wanted).square().mean()) for each in (guided, plain)]
    assert errors[0] < 0.7 * errors[1], errors


@torch.no_grad()
def test_time_travel_takes_steps_again_and_noise_is_that_of_the_seed(model):
    condition = model.embed(["a cat"] * 2)
    times, asked = model.schedule.times(6), []
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    measurement = Pooled(16)
    wanted = measurement.measured(torch.linspace(-1, 1, 64).expand(1, 3, 64, 64))

    def restored(rows=slice(None), **settings):
        def predict(latents, t):
            asked.append(t)
            return model.predict(latents, t, condition[rows])

        return drain(restore(predict, model, measurement, wanted, start[rows], times, **settings))

    both = restored(jump=2, repeat=2)
    assert len(asked) == walked(6, 2, 2)
    assert torch.allclose(restored(slice(1, 2), jump=2, repeat=2), both[1:], atol=1e-3)
    assert not torch.allclose(restored(jump=2, repeat=2, seed=1), both, atol=1e-2)
    assert torch.equal(restored(eta=0.0, seed=1), restored(eta=0.0))
