"""A small random ControlNet beside the small random model."""

import pytest
import torch
from diffusers import ControlNetModel

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import classifier_free
from morph.diffusion.prediction import Control
from morph.errors import ModelError
from tests.conftest import build_controlnet

T = 400


@pytest.fixture(scope="module")
def guided(folder, tmp_path_factory):
    return load_model(str(folder), controlnet=str(build_controlnet(tmp_path_factory.mktemp("controlnet"), folder)))


def inputs(model, count=2):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(count, 4, 8, 8, generator=generator)
    images = torch.rand(count, 3, 64, 64, generator=generator)
    return latents, model.embed(["a cat"]).expand(count), images


@torch.no_grad()
def test_the_control_counts_by_its_scale_sample_by_sample(guided):
    latents, condition, images = inputs(guided)
    plain = guided.predict(latents, T, condition).noise
    assert torch.equal(guided.predict(latents, T, condition, control=Control(images, torch.zeros(2))).noise, plain)
    full = guided.predict(latents, T, condition, control=Control(images, torch.ones(2))).noise
    assert not torch.allclose(full, plain, atol=1e-3)
    mixed = guided.predict(latents, T, condition, control=Control(images, torch.tensor([0.0, 1.0]))).noise
    assert torch.allclose(mixed[0], plain[0], atol=1e-5)
    assert torch.allclose(mixed[1], full[1], atol=1e-5)


@torch.no_grad()
def test_guidance_shows_the_control_to_both_passes(guided):
    latents, condition, images = inputs(guided)
    control = Control(images, torch.ones(2))
    once = guided.predict(latents, T, condition, control=control).noise
    same = classifier_free(guided.conditional(control), condition, condition, 4.0)(latents, T).noise
    assert torch.allclose(once, same, atol=1e-4)


def test_a_model_without_one_refuses_a_control(folder):
    model = load_model(str(folder))
    latents, condition, images = inputs(model)
    with pytest.raises(ModelError, match="no ControlNet"):
        model.predict(latents, T, condition, control=Control(images, torch.ones(2)))


def test_the_fingerprint_knows_the_controlnet_in_any_dtype(guided, folder, tmp_path):
    controlnet = str(build_controlnet(tmp_path, folder))
    cast = load_model(str(folder), dtype=torch.bfloat16, controlnet=controlnet)
    assert cast.controlnet.dtype == torch.bfloat16
    assert cast.fingerprint == guided.fingerprint != load_model(str(folder)).fingerprint


def test_a_controlnet_of_another_kind_or_none_is_refused(folder, tmp_path):
    with pytest.raises(ModelError, match="safetensors"):
        load_model(str(folder), controlnet=str(tmp_path))
    other = ControlNetModel(
        in_channels=4, block_out_channels=(16, 16), cross_attention_dim=16, norm_num_groups=8, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), conditioning_embedding_out_channels=(8, 8),
    )  # fmt: skip
    other.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="block_out_channels"):
        load_model(str(folder), controlnet=str(tmp_path))
