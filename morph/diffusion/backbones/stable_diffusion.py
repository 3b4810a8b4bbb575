"""Stable Diffusion 1.x and 2.x, and XL: a U-Net told by one of CLIP's text towers, or by two."""

from __future__ import annotations

from typing import Any

from morph.diffusion.backbones.autoencoder import KL
from morph.diffusion.backbones.texts import Clip, TwoClips
from morph.diffusion.backbones.unet import UNet
from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.parts import Texts
from morph.diffusion.schedule import Schedule


def stable_diffusion(
    vae: Any, unet: Any, text_encoders: list[Any], tokenizers: list[Any], schedule: Schedule, name: str
) -> LatentDiffusion:
    """The model of these parts, diffusers' and transformers'; two text encoders are XL's."""
    geometry = Geometry.from_configs(vae.config, unet.config)
    towers = [Clip(*tower) for tower in zip(text_encoders, tokenizers, strict=True)]
    texts: Texts = TwoClips(*towers) if len(towers) > 1 else towers[0]
    autoencoder, denoiser = KL(vae, geometry.factor), UNet(unet, geometry.factor)
    return LatentDiffusion(autoencoder, texts, denoiser, schedule, geometry, name)
