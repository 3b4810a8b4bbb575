"""A random model of Stable Diffusion 1.5's size and layout, for costs where its weights cannot be had."""

from __future__ import annotations

from pathlib import Path

CONTEXT = 77
"""Tokens that its text encoder reads."""


def build_stable(folder: Path) -> None:
    """Write it: the configs of its U-Net, autoencoder, text encoder and scheduler with weights drawn anew."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from morph.embedded.tokenizer import train_tokenizer
    from tests.conftest import save_schedule

    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a photo of a cat", "a photo of a raccoon"], size=800)
    tokenizer.model_max_length = CONTEXT
    tokenizer.save_pretrained(folder / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    # its config says attention_head_dim, which counts heads; the rest is the class's own default
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    unet.save_pretrained(folder / "unet")
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    vae.save_pretrained(folder / "vae")
    save_schedule(folder)
