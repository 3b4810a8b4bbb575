"""SDXL: two text towers and sizes, the same as diffusers' own pipeline; a render from end to end."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from morph.diffusion import ddim
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import classifier_free, conditioned
from morph.embedded.tokenizer import train_tokenizer
from morph.errors import ModelError
from morph.steps import drain
from pipelines import MorphPipeline
from tests.conftest import SAMPLES, autoencoder, save_schedule, text_config

STEPS, SIDE = 4, 64


def build(folder):
    """A small random model of SDXL's layout on disk: levels without attention, and with two blocks of it."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a photo of a cat", "a photo of a dog"], size=800)
    config = text_config(tokenizer)
    config.projection_dim = 24
    for end, kind in (("", CLIPTextModel), ("_2", CLIPTextModelWithProjection)):
        tokenizer.save_pretrained(folder / f"tokenizer{end}")
        kind(config).save_pretrained(folder / f"text_encoder{end}")
    UNet2DConditionModel(
        sample_size=8,
        layers_per_block=2,
        block_out_channels=(16, 32, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(1, 2, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24 + 6 * 8,
        cross_attention_dim=32,
        norm_num_groups=8,
    ).save_pretrained(folder / "unet")
    autoencoder(scaling_factor=0.13025).save_pretrained(folder / "vae")
    save_schedule(folder)
    return folder


@pytest.fixture(scope="module")
def xl(tmp_path_factory):
    return build(tmp_path_factory.mktemp("xl"))


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_it_denoises_as_diffusers_own_pipeline_does(xl, guidance):
    model = load_model(str(xl))
    parts = {"unet": model.denoiser.network, "vae": model.autoencoder.network, "scheduler": _scheduler(xl)}
    encoders = dict(zip(("text_encoder", "text_encoder_2"), model.texts.networks, strict=True))
    tokenizers = {name: CLIPTokenizer.from_pretrained(xl / name) for name in ("tokenizer", "tokenizer_2")}
    theirs = StableDiffusionXLPipeline(**parts, **encoders, **tokenizers, add_watermarker=False)
    theirs.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(0))
    asked = {"prompt": "a cat", "negative_prompt": "a dog", "guidance_scale": guidance, "latents": noise.clone()}
    expected = theirs(**asked, height=SIDE, width=SIDE, num_inference_steps=STEPS, output_type="latent").images
    text, negative = model.embed(["a cat"]), model.embed(["a dog"])
    predict = (
        conditioned(model.conditional(), text)
        if guidance == 1
        else classifier_free(model.conditional(), text, negative, guidance)
    )
    ours = drain(ddim.sample(predict, model.schedule, noise, model.schedule.times(STEPS)))
    assert torch.allclose(ours, expected, atol=2e-4)


def test_it_morphs_with_loras_inversion_and_shared_attention_and_the_ends_are_exact(xl):
    pipeline = MorphPipeline.from_pretrained(str(xl))
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    more = {"align.on": False, "anchors.depth": 0, "lora.steps": 2, "lora.rank": 2, "attention": 1, "steps": 4}
    settings = {"frames": 5, "size": "64x64", "pacing": "uniform", **more}

    def frames(order, prompts):
        return [frame.pixels for frame in pipeline(order, prompts=prompts, **settings)]

    there, again, back = (
        frames(images, ["a cat", "a dog"]),
        frames(images, ["a cat", "a dog"]),
        frames(images[::-1], ["a dog", "a cat"]),
    )
    assert len(there) == 5
    assert all(np.array_equal(a, b) for a, b in zip(there, again, strict=True))
    assert min(decibels(a, b) for a, b in zip(there, back[::-1], strict=True)) > 45


def decibels(a, b):
    error = np.square(a.astype(float) - b.astype(float)).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


def test_a_refiner_and_towers_that_do_not_fit_are_refused_by_their_configs(xl, tmp_path):
    copy = tmp_path / "xl"
    shutil.copytree(xl, copy)
    config = copy / "text_encoder_2" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_size": 24}))
    with pytest.raises(ModelError, match=r"text widths \[32, 16, 24\]"):
        load_model(str(copy))
    shutil.rmtree(copy / "text_encoder")
    with pytest.raises(ModelError, match=r"text_encoder has no model\.safetensors"):
        load_model(str(copy))


def _scheduler(folder):
    return DDIMScheduler.from_pretrained(folder / "scheduler")
