import pytest
import torch

from morph.diffusion import ddim
from morph.editing.jumps import walked
from morph.editing.repaint import in_latents, inpaint
from morph.steps import drain
from tests.morph.editing.gaussian import Smooth, schedules


def hole(size):
    mask = torch.zeros(1, 1, size, size)
    mask[..., size // 4 : -size // 4, size // 4 : -size // 4] = 1
    return mask


def seam(latents, size):
    """The mean square of the steps across the left and right edges of the hole."""
    edges = size // 4, size - size // 4
    rows = slice(size // 4, size - size // 4)
    return sum(float((latents[..., rows, e] - latents[..., rows, e - 1]).square().mean()) for e in edges)


@schedules
def test_what_is_known_stays_and_resampling_closes_the_seam(schedule):
    size, times = 32, schedule.times(20)
    denoiser = Smooth(schedule, size)
    known, mask = denoiser.sample(4, 4), hole(size)
    start = torch.randn(known.shape, generator=torch.Generator().manual_seed(1))
    results = {}
    for repeat in (1, 8):
        denoiser.asked = 0
        results[repeat] = drain(
            inpaint(denoiser, schedule, known, mask, start, times, jump=2, repeat=repeat, seed=3)
        )
        assert denoiser.asked == walked(20, 2, repeat)
        assert torch.equal(results[repeat][..., mask[0, 0] == 0], known[..., mask[0, 0] == 0])
        assert (results[repeat] - known)[..., mask[0, 0] == 1].square().mean() > 0.1
    pasted = torch.where(mask > 0, drain(ddim.sample(denoiser, schedule, start, times)), known)
    of_pasted, of_once, of_many, natural = (seam(each, size) for each in (pasted, results[1], results[8], known))
    assert of_once < of_pasted
    assert of_many < 0.75 * of_once
    assert natural < of_many


def test_every_step_down_is_yielded_and_noise_is_that_of_the_seed(model):
    condition = model.embed(["a cat"] * 2)
    times = model.schedule.times(6)
    known = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    start, mask = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)), hole(8)

    def painted(seed, rows=slice(None)):
        def predict_rows(latents, t):
            return model.predict(latents, t, condition[rows])

        steps = inpaint(predict_rows, model.schedule, known, mask, start[rows], times, jump=2, repeat=2, seed=seed)
        collected = []
        return drain(steps, collected.append), collected

    both, steps = painted(0)
    assert len(steps) == walked(6, 2, 2)
    assert steps[-1].t == times[-1]
    assert torch.equal(steps[-1].latents, both)
    assert torch.allclose(painted(0, slice(1, 2))[0], both[1:], atol=1e-4)
    assert not torch.allclose(painted(1)[0], both, atol=1e-2)


def test_a_cell_is_known_only_if_all_of_its_pixels_are():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 9, 20] = 0.5
    cells = in_latents(mask, (1, 4, 8, 8))
    assert cells.shape == (1, 1, 8, 8)
    assert float(cells[0, 0, 1, 2]) == 0.5
    assert float(cells.sum()) == pytest.approx(0.5)


@schedules
def test_half_a_mask_has_all_of_the_noise(schedule):
    denoiser, times = Smooth(schedule, 64), schedule.times(10)
    known, mask = denoiser.sample(2, 4), torch.full((1, 1, 64, 64), 0.5)
    start = torch.randn(known.shape, generator=torch.Generator().manual_seed(1))
    for step in inpaint(denoiser, schedule, known, mask, start, times, jump=99, repeat=1):
        alpha, sigma = (float(level) for level in schedule.level(step.t))
        if step.t == times[5]:
            noise = step.latents - alpha * torch.lerp(known, step.clean, 0.5)
            assert 0.85 * sigma < float(noise.std()) < 1.15 * sigma
