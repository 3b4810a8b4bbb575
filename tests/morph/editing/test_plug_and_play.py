"""Plug-and-play on a small random model of Stable Diffusion's layout, and on the one that ships."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import conditioned
from morph.diffusion.solvers import FixedPoint
from morph.editing import plug_and_play
from morph.editing.path import inverted
from morph.editing.plug_and_play import Injection
from morph.errors import ModelError
from morph.steps import drain
from tests.morph.diffusion.backbones.tiny import build_sd3

NONE = Injection(0.0, 0.0)


@pytest.fixture(scope="module")
def path(model):
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)) * 0.5
    predict = conditioned(model.conditional(), model.embed([""]))
    times = model.times(8, latents.shape, skip=0.5)
    return drain(inverted(predict, model.schedule, latents, times, FixedPoint(8)))


def edited(model, path, target="a photo of a dog", guidance=2.0, amounts=(1.0,), injection=Injection()):  # noqa: B008
    texts = [model.embed([text]) for text in ("", target, "")]
    times = sorted(path, reverse=True)
    return drain(plug_and_play.sample(model, path, *texts, times, guidance, amounts, injection))


def test_the_text_that_it_was_inverted_under_gives_the_picture(model, path):
    same = edited(model, path, "", 1.0)
    error = (same - path[-1]).square().mean().sqrt() / path[-1].abs().max()
    assert error < 1e-2  # 40 dB
    assert (edited(model, path) - path[-1]).square().mean().sqrt() / path[-1].abs().max() > 1e-2


def test_what_is_injected_changes_the_result(model, path):
    whole = edited(model, path)
    for other in (Injection(0.0), Injection(attention=0.0), Injection(attention=1.0)):
        assert not torch.allclose(edited(model, path, injection=other), whole, atol=1e-4)


def test_amounts_go_from_the_picture_to_the_edit(model, path):
    none, half, whole = (edited(model, path, amounts=(0.0, 0.5, 1.0)) - path[-1]).flatten(1).norm(dim=1).tolist()
    assert none < half < whole
    assert none < 0.1 * whole


def test_all_hear_the_first_ones_queries_keys_and_features(deep):
    network, text = deep.denoiser.network, deep.embed(["a cat", "a dog"])
    latents, asked, added = torch.randn(2, 4, 8, 8), [], []
    block = network.up_blocks[1].resnets[1]
    layer = network.up_blocks[1].attentions[1].transformer_blocks[0].attn1
    with torch.no_grad(), deep.denoiser.led(True, True):
        handles = [
            block.register_forward_hook(lambda m, i, o: added.append(o - m.conv_shortcut(i[0]))),
            layer.to_out[0].register_forward_hook(lambda m, i, o: asked.append(i[0])),
        ]
        deep.output(latents, 500, text)
    for handle in handles:
        handle.remove()
    assert torch.allclose(added[0][0], added[0][1], atol=1e-5)
    assert not torch.allclose(asked[0][0], asked[0][1], atol=1e-3)  # the values are each one's own


def test_in_the_embedded_model_it_keeps_the_picture_better_than_without(embedded):
    latents = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    times = embedded.times(4, latents.shape)
    empty, target = embedded.embed([""]), embedded.embed(["a photo of the sea"])
    steps = inverted(conditioned(embedded.conditional(), empty), embedded.schedule, latents, times)
    path = drain(steps)
    with_it, without = (
        drain(plug_and_play.sample(embedded, path, empty, target, empty, times, 3.0, (1.0,), injection))
        for injection in (Injection(), NONE)
    )
    assert (with_it - latents).norm() < (without - latents).norm()


def test_a_transformer_is_refused(tmp_path):
    sd3 = load_model(str(build_sd3(tmp_path)))
    with pytest.raises(ModelError, match="is no U-Net"):
        plug_and_play.unet_of(sd3)
