import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import classifier_free
from morph.errors import ModelError
from morph.semantic.adapter import Adapter, depths, norms
from tests.morph.diffusion.backbones.tiny import TINY


def told(model):
    """An adapter whose layers say something."""
    adapter = Adapter.of(model, 6, 1).requires_grad_(False)
    torch.manual_seed(0)
    for layer in adapter.layers:
        torch.nn.init.normal_(layer.weight, std=0.3)
    return adapter


@torch.no_grad()
def test_a_new_adapter_changes_nothing(model):
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    plain = model.output(latents, 400, condition)
    with Adapter.of(model, 6, 1).told(model, torch.randn(2, 6)):
        assert torch.equal(model.output(latents, 400, condition), plain)


@torch.no_grad()
def test_each_sample_is_told_its_own_code_with_guidance_too(model):
    adapter, codes = told(model), torch.randn(2, 6)
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    plain = model.output(latents, 400, condition)
    with adapter.told(model, codes):
        both = model.output(latents, 400, condition)
        guided = classifier_free(model.conditional(), condition, condition, 2.0)(latents, 400)
        clean = model.predict(latents, 400, condition).clean
    assert (both - plain).abs().max() > 1e-2
    for row in range(2):
        rows = slice(row, row + 1)
        with adapter.told(model, codes[rows]):
            alone = model.output(latents[rows], 400, condition[rows])
        assert torch.allclose(both[rows], alone, atol=1e-4)
    assert torch.allclose(guided.clean, clean, atol=1e-4)
    assert torch.equal(model.output(latents, 400, condition), plain), "it is gone after the body"


@torch.no_grad()
def test_a_norm_is_scaled_and_shifted(model):
    name, norm = next(iter(norms(model.denoiser.network).items()))
    adapter = told(model)
    scale, shift = adapter.layers[0](torch.ones(1, 6)).chunk(2, dim=1)
    x = torch.randn(1, norm.num_channels, 4, 4)
    plain = norm(x)
    with adapter.told(model, torch.ones(1, 6)):
        changed = model.denoiser.network.get_submodule(name)(x)
    assert torch.allclose(changed, plain * (1 + scale[..., None, None]) + shift[..., None, None], atol=1e-6)


def test_codes_of_other_batches_are_refused(model):
    with told(model).told(model, torch.randn(2, 6)), pytest.raises(ValueError, match="do not fit a batch of 3"):
        model.output(torch.randn(3, 4, 8, 8), 400, model.embed(["a cat"]).expand(3))


def test_transformers_cannot_be_told(tmp_path):
    with pytest.raises(ModelError, match="take a U-Net"):
        Adapter.of(load_model(str(TINY["sd3"].build(tmp_path))), 6, 1)


@torch.no_grad()
def test_each_level_hears_its_own_code(model):
    network = model.denoiser.network
    levels = len(network.down_blocks)
    adapter = Adapter.of(model, 6, levels).requires_grad_(False)
    torch.manual_seed(0)
    for layer in adapter.layers:
        torch.nn.init.normal_(layer.weight, std=0.3)
    seen = {}
    for name, norm in norms(network).items():
        norm.register_forward_hook(lambda layer, inputs, output, name=name: seen.update({name: output}))
    code = torch.zeros(1, 6 * levels)
    code[:, :6] = 1  # of the finest
    x = {name: torch.randn(1, norm.num_channels, 4, 4) for name, norm in norms(network).items()}
    with adapter.told(model, code):
        heard = [name for name, norm in norms(network).items() if not torch.allclose(norm(x[name]), seen[name])]
    assert heard == [name for name, depth in zip(norms(network), depths(network), strict=True) if depth == 0]
    assert {name.split(".")[0] for name in heard} == {"down_blocks", "up_blocks"}
    assert set(depths(network)) == set(range(levels))


def test_levels_that_lie_deeper_share_the_last_code(model):
    assert set(Adapter.of(model, 6, 1).levels) == {0}
