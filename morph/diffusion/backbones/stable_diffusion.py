"""Stable Diffusion: 1.x and 2.x, XL, and 3.x, of their parts as diffusers and transformers build them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from morph.diffusion.backbones.autoencoder import KL
from morph.diffusion.backbones.sd3 import SD3
from morph.diffusion.backbones.texts import T5, Clip, ThreeTowers, TwoClips
from morph.diffusion.backbones.unet import UNet
from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.parts import Texts
from morph.diffusion.schedule import Flow, VariancePreserving

Tower = tuple[Any, Any]
"""A text encoder and its tokenizer."""


def stable_diffusion(
    vae: Any, unet: Any, towers: Sequence[Tower], scheduler: Mapping[str, Any], name: str
) -> LatentDiffusion:
    """A U-Net told by one of CLIP's text towers, or XL's by two; ``scheduler`` is its config."""
    geometry = Geometry.from_configs(vae.config, unet.config)
    clips = [Clip(*tower) for tower in towers]
    texts: Texts = TwoClips(*clips) if len(clips) > 1 else clips[0]
    schedule = VariancePreserving.from_config(scheduler)
    return LatentDiffusion(KL(vae, geometry.factor), texts, UNet(unet, geometry.factor), schedule, geometry, name)


def stable_diffusion_3(
    vae: Any, transformer: Any, towers: Sequence[Tower], scheduler: Mapping[str, Any], name: str
) -> LatentDiffusion:
    """A transformer told by two of CLIP's text towers, and by T5 where it is there."""
    geometry = Geometry.from_configs(vae.config, transformer.config)
    first, second, *t5 = towers
    width = int(transformer.config.joint_attention_dim)
    texts = ThreeTowers(Clip(*first), Clip(*second), T5(*t5[0]) if t5 else None, width)
    schedule = Flow.from_config(scheduler)
    return LatentDiffusion(KL(vae, geometry.factor), texts, SD3(transformer), schedule, geometry, name)
