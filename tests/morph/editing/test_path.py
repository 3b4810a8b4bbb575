import torch

from morph.diffusion import ddim
from morph.diffusion.guidance import conditioned
from morph.diffusion.solvers import FixedPoint, UniInv
from morph.editing.path import inverted
from morph.steps import drain


def test_a_path_has_the_latents_of_every_time_as_sampling_finds_them(model):
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.5
    times, predict = (
        model.times(8, latents.shape, skip=0.6),
        conditioned(model.conditional(), model.embed(["a cat"])),
    )
    path = drain(inverted(predict, model.schedule, latents, times, FixedPoint(8)))
    assert sorted(path, reverse=True) == list(times)
    assert torch.equal(path[times[-1]], latents)
    for step in ddim.sample(predict, model.schedule, path[times[0]], times):
        assert torch.allclose(step.latents, path[step.t], atol=0.02 * float(path[step.t].abs().max()))
    by_another = drain(inverted(predict, model.schedule, latents, times, UniInv()))
    assert by_another.keys() == path.keys()
