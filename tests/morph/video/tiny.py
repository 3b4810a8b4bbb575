"""A small random video model in diffusers' layout, and diffusers' own pipeline of it."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from tests.morph.diffusion.backbones.tiny import WORDS

LATENTS, TEXT, SEEN = 4, 24, 16


def build_wan(folder: Path, **transformer: object) -> Path:
    """Of Wan 2.1's layout for a first and a last frame; ``transformer`` goes over that part's own config."""
    torch.manual_seed(0)
    vocabulary = [(word, -float(number)) for number, word in enumerate(WORDS)]
    T5TokenizerFast(vocab=vocabulary, extra_ids=0).save_pretrained(folder / "tokenizer")
    sizes = {"d_model": TEXT, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": len(WORDS)}
    UMT5EncoderModel(UMT5Config(**sizes)).save_pretrained(folder / "text_encoder")
    sight = CLIPVisionConfig(
        hidden_size=SEEN,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    CLIPVisionModel(sight).save_pretrained(folder / "image_encoder")
    square = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square).save_pretrained(folder / "image_processor")
    config = {
        "in_channels": 2 * LATENTS + 4,
        "out_channels": LATENTS,
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "text_dim": TEXT,
        "freq_dim": 16,
        "ffn_dim": 32,
        "num_layers": 2,
        "image_dim": SEEN,
        "added_kv_proj_dim": 24,
        "rope_max_seq_len": 32,
        "pos_embed_seq_len": 10,
        **transformer,
    }
    WanTransformer3DModel(**config).save_pretrained(folder / "transformer")
    AutoencoderKLWan(
        base_dim=8,
        z_dim=LATENTS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.0, 0.3],
        latents_std=[1.5, 0.8, 1.0, 2.0],
    ).save_pretrained(folder / "vae")
    UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=16.0
    ).save_pretrained(folder / "scheduler")
    return folder


def wan_pipeline(folder: Path) -> WanImageToVideoPipeline:
    """diffusers' own, its parts read by their own classes."""
    return WanImageToVideoPipeline(
        tokenizer=T5TokenizerFast.from_pretrained(folder / "tokenizer"),
        text_encoder=UMT5EncoderModel.from_pretrained(folder / "text_encoder"),
        vae=AutoencoderKLWan.from_pretrained(folder / "vae"),
        scheduler=UniPCMultistepScheduler.from_pretrained(folder / "scheduler"),
        image_processor=CLIPImageProcessor.from_pretrained(folder / "image_processor"),
        image_encoder=CLIPVisionModel.from_pretrained(folder / "image_encoder"),
        transformer=WanTransformer3DModel.from_pretrained(folder / "transformer"),
    )
