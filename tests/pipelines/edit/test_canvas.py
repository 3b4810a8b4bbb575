"""What editors are given."""

import torch

from morph.diffusion.guidance import passes
from morph.steps import drain


def test_texts_noise_and_times(canvas, model):
    one = canvas(model, how="sdedit", prompt="a dog", steps=10, seed=3)
    assert torch.equal(one.target.tokens, model.embed(["a dog"]).tokens)
    assert torch.equal(one.source.tokens, one.negative.tokens)  # both are empty
    assert torch.equal(one.noise("it"), one.noise("it"))
    assert not torch.equal(one.noise("it"), one.noise("it", 1))
    assert len(one.times()) == 11
    assert one.times(0.5) == one.times()[4:]
    assert passes(one.numbers.guidance) == 2


def test_the_picture_comes_back_from_its_inversion(canvas, embedded):
    one = canvas(embedded, how="variation", source="a cat", steps=10, inversion_iterations=8)
    noise = drain(one.inverted(one.times()))
    sampling = one.solver.sample(one.guided(one.source, 1.0), embedded.schedule, noise, one.times())
    torch.testing.assert_close(drain(sampling), one.latents, rtol=0, atol=0.02)
