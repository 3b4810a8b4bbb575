import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.hspace import middle_block, reading, shifting, width
from morph.errors import ModelError
from tests.morph.diffusion.backbones.tiny import TINY


@torch.no_grad()
def test_h_is_read_and_a_shift_is_added_to_it(model):
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    plain = model.output(latents, 400, condition)
    with reading(model) as found:
        model.output(latents, 400, condition)
    (h,) = found
    assert h.shape == (2, width(model), 1, 1)
    with shifting(model, lambda h: 0.5 * torch.ones_like(h)), reading(model) as after:
        shifted = model.output(latents, 400, condition)
    assert torch.equal(after[0], h + 0.5)
    assert not torch.allclose(shifted, plain)
    with shifting(model, torch.zeros_like):
        assert torch.equal(model.output(latents, 400, condition), plain)
    assert torch.equal(model.output(latents, 400, condition), plain)


@torch.no_grad()
def test_h_is_read_before_a_shift_that_is_added_later(model):
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    with reading(model) as before, shifting(model, torch.ones_like), reading(model) as after:
        model.output(latents, 400, condition)
    assert torch.equal(after[0], before[0] + 1)


def test_gradients_reach_a_shift(model):
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    delta = torch.zeros(1, width(model), 1, 1, requires_grad=True)
    with shifting(model, lambda h: delta):
        model.output(latents, 400, condition).square().sum().backward()
    assert delta.grad.abs().max() > 0


def test_the_hook_is_gone_however_the_body_ends(model):
    with pytest.raises(ZeroDivisionError), shifting(model, torch.ones_like):
        1 / 0  # noqa: B018
    assert not middle_block(model)._forward_hooks


@pytest.mark.parametrize("name", ["flux", "sd3"])
def test_transformers_have_no_middle(name, tmp_path):
    model = load_model(str(TINY[name].build(tmp_path)))
    with pytest.raises(ModelError, match="no middle block"), reading(model):
        pass
