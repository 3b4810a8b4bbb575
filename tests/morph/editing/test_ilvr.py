import torch

from morph.diffusion.guidance import conditioned
from morph.editing.frequencies import low_pass
from morph.editing.ilvr import refine
from morph.steps import drain
from tests.morph.editing.gaussian import Smooth, schedules


@schedules
def test_what_is_coarse_is_the_references_and_what_is_fine_is_not(schedule):
    size, times, width = 32, schedule.times(20), 4
    denoiser = Smooth(schedule, size, width=0.3)
    reference = denoiser.sample(2, 4)
    start = torch.randn(reference.shape, generator=torch.Generator().manual_seed(1))

    def differences(width, free):
        painted = drain(refine(denoiser, schedule, reference, start, times, width=width, free=free))
        coarse = low_pass(painted - reference, 4)
        fine = painted - reference - coarse
        return float(coarse.std()), float(fine.std())

    coarse, fine = differences(width, 0.0)
    coarse_alone, fine_alone = differences(1e6, 0.0)  # but for the mean
    assert coarse < 0.15 * coarse_alone
    assert fine > 0.5 * fine_alone
    freer, _ = differences(width, 0.5)
    assert coarse < freer < coarse_alone


def test_noise_is_that_of_the_seed_and_steps_are_yielded(model):
    condition, times = model.embed(["a cat"] * 2), model.schedule.times(5)
    reference = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    def painted(seed, rows=slice(None)):
        predict, steps = conditioned(model.conditional(), condition[rows]), []
        refined = refine(predict, model.schedule, reference, start[rows], times, width=2.0, seed=seed)
        return drain(refined, steps.append), steps

    both, steps = painted(0)
    assert tuple(step.t for step in steps) == times[1:]
    assert torch.equal(steps[-1].latents, both)
    assert torch.allclose(painted(0, slice(1, 2))[0], both[1:], atol=1e-4)
    assert not torch.allclose(painted(1)[0], both, atol=1e-2)
