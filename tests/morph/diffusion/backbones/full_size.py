"""Models of the sizes that were published, on no device: they tell shapes and costs, and no numbers."""

from __future__ import annotations

import copy
from typing import Any

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from morph.diffusion.backbones.autoencoder import KL
from morph.diffusion.backbones.sd3 import SD3
from morph.diffusion.backbones.texts import Clip, ThreeTowers, TwoClips
from morph.diffusion.backbones.unet import UNet
from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Flow

_FACTOR = 8
_SD15: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
_SDXL: dict[str, Any] = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_SD3: dict[str, Any] = {
    "sample_size": 128,
    "num_layers": 24,
    "attention_head_dim": 64,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 192,
}
_WIDE = (1280, 32, 20)
"""Of CLIP's larger text tower: its width, layers and heads."""


def stable_diffusion(small: LatentDiffusion) -> LatentDiffusion:
    """Of 1.5's size; ``small`` lends its tokenizer and its schedule."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**_SD15)
    return _of(small, Clip(*_tower(small)), UNet(unet, _FACTOR), Geometry(_FACTOR, 64, 512), 4)


def stable_diffusion_xl(small: LatentDiffusion) -> LatentDiffusion:
    """Of XL's size."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**_SDXL)
    texts = TwoClips(Clip(*_tower(small)), Clip(*_tower(small, _WIDE, CLIPTextModelWithProjection)))
    return _of(small, texts, UNet(unet, _FACTOR), Geometry(_FACTOR, 32, 1024), 4)


def stable_diffusion_3(small: LatentDiffusion) -> LatentDiffusion:
    """Of 3 medium's size, without T5, at half of its side: that is as many as a test can wait for."""
    with torch.device("meta"):
        transformer = SD3Transformer2DModel(**_SD3)
    first = Clip(*_tower(small, kind=CLIPTextModelWithProjection))
    texts = ThreeTowers(first, Clip(*_tower(small, _WIDE, CLIPTextModelWithProjection)), None, 4096)
    model = _of(small, texts, SD3(transformer), Geometry(_FACTOR, 16, 512, longest=3072), 16)
    model.schedule = Flow.from_config({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "trained")
    return model


def _tower(small: LatentDiffusion, size: tuple[int, int, int] = (768, 12, 12), kind: Any = CLIPTextModel) -> Any:
    """CLIP's text tower of so many channels, layers and heads, and a tokenizer of its length."""
    tokenizer = copy.deepcopy(small.texts.clips[0].tokenizer)  # type: ignore[attr-defined]
    tokenizer.model_max_length = 77
    width, layers, heads = size
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=width,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.device("meta"):
        return kind(config), tokenizer


def _of(small: LatentDiffusion, texts: Any, denoiser: Any, geometry: Geometry, channels: int) -> LatentDiffusion:
    """A model of these parts, which have no weights that could tell it from others."""
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=channels,
        )
    model = copy.copy(small)
    model.texts, model.denoiser, model.geometry = texts, denoiser, geometry
    model.autoencoder = KL(vae, _FACTOR)
    return model.to("meta", torch.bfloat16)


class Largest(TorchFunctionMode):
    """How many bytes the largest tensor has that anything in the ``with`` body makes."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.size = max(self.size, one.untyped_storage().nbytes())
        return made


class Attended(TorchFunctionMode):
    """The shapes of queries, and of keys, of all attentions in the ``with`` body that one sample leads."""

    def __init__(self) -> None:
        super().__init__()
        self.led: list[tuple[torch.Size, torch.Size]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is F.scaled_dot_product_attention:
            query, keys, _ = args
            if query.stride(0) == keys.stride(0) == 0:  # one sample's for all
                self.led.append((query.shape, keys.shape))
        return function(*args, **(kwargs or {}))
