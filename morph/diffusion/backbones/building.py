"""Models of each family, of their parts as diffusers and transformers build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from morph.diffusion import families
from morph.diffusion.backbones.autoencoder import KL, FoldedKL
from morph.diffusion.backbones.autoencoder_qwen import QwenKL
from morph.diffusion.backbones.chat import Chat
from morph.diffusion.backbones.flux import Flux
from morph.diffusion.backbones.flux2 import Flux2
from morph.diffusion.backbones.language import LanguageModel
from morph.diffusion.backbones.qwen import QwenImage
from morph.diffusion.backbones.sd3 import SD3
from morph.diffusion.backbones.texts import T5, Clip, ClipAndT5, ThreeTowers, TwoClips
from morph.diffusion.backbones.texts_qwen import Qwen
from morph.diffusion.backbones.texts_qwen_edit import QwenEdit
from morph.diffusion.backbones.unet import UNet
from morph.diffusion.backbones.z_image import ZImage
from morph.diffusion.families import Family
from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.parts import Autoencoder, Denoiser, Texts
from morph.diffusion.schedule import Flow, Schedule, VariancePreserving

Tower = tuple[Any, Any]
"""A text encoder and its tokenizer; of one that sees, that and its :class:`morph.diffusion.sight.Sight`."""
_FLUX_T5_TOKENS = 512


def build(
    family: Family, vae: Any, network: Any, towers: Sequence[Tower], scheduler: Mapping[str, Any], name: str
) -> LatentDiffusion:
    """A model of a family; ``network`` is its denoiser, ``scheduler`` that one's config.

    Raises:
        ModelError: configs that say something else than the family's.
    """
    geometry = Geometry.from_configs(vae.config, network.config, family)
    schedule: Schedule = (
        Flow.from_config(scheduler, family.flow) if family.flow else VariancePreserving.from_config(scheduler)
    )
    texts, denoiser, autoencoder = _BUILDERS[family](vae, network, towers, geometry)
    return LatentDiffusion(autoencoder, texts, denoiser, schedule, geometry, name)


Parts = tuple[Texts, Denoiser, Autoencoder]


def _stable_diffusion(vae: Any, unet: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """A U-Net told by one of CLIP's text towers, or XL's by two."""
    clips = [Clip(*tower) for tower in towers]
    texts: Texts = TwoClips(*clips) if len(clips) > 1 else clips[0]
    return texts, UNet(unet, geometry.factor), KL(vae, geometry.factor)


def _stable_diffusion_3(vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """A transformer told by two of CLIP's text towers, and by T5 where it is there."""
    first, second, *t5 = towers
    width = int(transformer.config.joint_attention_dim)
    texts = ThreeTowers(Clip(*first), Clip(*second), T5(*t5[0]) if t5 else None, width)
    return texts, SD3(transformer), KL(vae, geometry.factor)


def _flux(vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """A transformer told by T5, and by CLIP's vector for the whole text."""
    clip, t5 = towers
    return ClipAndT5(Clip(*clip), T5(*t5, _FLUX_T5_TOKENS)), Flux(transformer), KL(vae, geometry.factor)


def _kontext(vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """FLUX.1's parts, of which the transformer may be shown a picture."""
    texts, _, autoencoder = _flux(vae, transformer, towers, geometry)
    return texts, Flux(transformer, families.FLUX1_KONTEXT.edits), autoencoder


def _z_image(vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """A transformer told by a language model."""
    texts = Chat(*towers[0], families.Z_IMAGE_TOKENS, families.Z_IMAGE_FILLED)
    return texts, ZImage(transformer), KL(vae, geometry.factor)


def _flux2(vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """A transformer told by layers of a language model."""
    from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE

    ((encoder, tokenizer),) = towers
    family = families.FLUX2[encoder.config.model_type]
    system = SYSTEM_MESSAGE if family is families.FLUX2_DEV else ""
    texts = LanguageModel(encoder, tokenizer, family.layers, system)
    return texts, Flux2(transformer), FoldedKL(vae, geometry.factor // family.folded, family.folded)


def _qwen_image(vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry) -> Parts:
    """A transformer told by a language model, with an autoencoder of its own."""
    (qwen,) = towers
    return Qwen(*qwen), QwenImage(transformer), QwenKL(vae, geometry.factor)


def _qwen_image_edit(
    vae: Any, transformer: Any, towers: Sequence[Tower], geometry: Geometry, numbered: bool = False
) -> Parts:
    """A transformer that is shown a picture, as its language model is, which has a number there or none."""
    ((encoder, (tokenizer, sight)),) = towers
    texts = QwenEdit(encoder, tokenizer, sight, numbered)
    return texts, QwenImage(transformer, families.QWEN_IMAGE_EDIT.edits), QwenKL(vae, geometry.factor)


_BUILDERS: Mapping[Family, Callable[[Any, Any, Sequence[Tower], Geometry], Parts]] = {
    families.STABLE_DIFFUSION: _stable_diffusion,
    families.SDXL: _stable_diffusion,
    families.SD3: _stable_diffusion_3,
    families.FLUX1: _flux,
    families.FLUX1_KONTEXT: _kontext,
    families.Z_IMAGE: _z_image,
    families.FLUX2_KLEIN: _flux2,
    families.FLUX2_DEV: _flux2,
    families.QWEN_IMAGE: _qwen_image,
    families.QWEN_IMAGE_EDIT: _qwen_image_edit,
    families.QWEN_IMAGE_EDIT_PLUS: partial(_qwen_image_edit, numbered=True),
}
