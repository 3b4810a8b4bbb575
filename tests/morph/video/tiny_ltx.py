"""A small random LTX-Video in diffusers' layout, and diffusers' own pipeline of it."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXVideoTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel, T5TokenizerFast

from tests.morph.diffusion.backbones.tiny import WORDS

LATENTS, TEXT = 4, 24


def build_ltx(folder: Path, timed: bool = True) -> Path:
    """Of the layout of 0.9.5; timed: its autoencoder takes the last noise away, as those since 0.9.1 do."""
    torch.manual_seed(0)
    vocabulary = [(word, -float(number)) for number, word in enumerate(WORDS)]
    T5TokenizerFast(vocab=vocabulary, extra_ids=0).save_pretrained(folder / "tokenizer")
    sizes = {"d_model": TEXT, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": len(WORDS)}
    T5EncoderModel(T5Config(**sizes)).save_pretrained(folder / "text_encoder")
    LTXVideoTransformer3DModel(
        in_channels=LATENTS,
        out_channels=LATENTS,
        num_attention_heads=2,
        attention_head_dim=12,
        cross_attention_dim=24,
        num_layers=2,
        caption_channels=TEXT,
    ).save_pretrained(folder / "transformer")
    vae = AutoencoderKLLTXVideo(
        latent_channels=LATENTS,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        timestep_conditioning=timed,
    )
    vae.latents_mean.copy_(torch.tensor([0.1, -0.2, 0.0, 0.3]))
    vae.latents_std.copy_(torch.tensor([1.5, 0.8, 1.0, 2.0]))
    vae.save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    return folder


def ltx_pipeline(folder: Path) -> LTXConditionPipeline:
    """diffusers' own, its parts read by their own classes."""
    return LTXConditionPipeline(
        tokenizer=T5TokenizerFast.from_pretrained(folder / "tokenizer"),
        text_encoder=T5EncoderModel.from_pretrained(folder / "text_encoder"),
        vae=AutoencoderKLLTXVideo.from_pretrained(folder / "vae"),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        transformer=LTXVideoTransformer3DModel.from_pretrained(folder / "transformer"),
    )
