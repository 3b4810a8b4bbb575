"""Small random models of each family, in diffusers' layout, and diffusers' own pipelines of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2TokenizerFast,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from morph.diffusion.backbones.texts_qwen import TEMPLATE
from morph.embedded.tokenizer import train_tokenizer
from tests.conftest import autoencoder, text_config
from tests.morph.diffusion.backbones.tiny_flux2 import build_dev, build_klein, dev_pipeline, klein_pipeline

WIDTH = 40
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = ["<pad>", "</s>", "<unk>", "\u2581", "\u2581a", "\u2581cat", "\u2581dog", "\u2581photo", "\u2581of"]


@dataclass(frozen=True)
class Tiny:
    """build: into a folder. pipeline: diffusers' own, of a model of ours and its folder.

    asked: of that pipeline, besides prompt, sides, steps, guidance and latents. packed: latents (1,C,h,w) as it
    wants them. tokens: what way_up says of latents (2,C,8,12). sites: that share, by default.
    """

    build: Callable[[Path], Path]
    pipeline: Callable[[Any, Path], Any]
    packed: Callable[[torch.Tensor], torch.Tensor]
    asked: dict[str, Any]
    middle: tuple[int, ...]
    sites: tuple[str, ...]


def _clip(folder: Path, end: str, kind: Any) -> None:
    tokenizer = train_tokenizer(["a photo of a cat", "a photo of a dog"], size=800)
    config = text_config(tokenizer)
    config.projection_dim = 12
    tokenizer.save_pretrained(folder / f"tokenizer{end}")
    kind(config).save_pretrained(folder / f"text_encoder{end}")


def _t5(folder: Path, end: str) -> None:
    vocabulary = [(word, -float(number)) for number, word in enumerate(WORDS)]
    T5TokenizerFast(vocab=vocabulary, extra_ids=0).save_pretrained(folder / f"tokenizer{end}")
    sizes = {"d_model": WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": len(WORDS)}
    T5EncoderModel(T5Config(**sizes)).save_pretrained(folder / f"text_encoder{end}")


def build_sd3(folder: Path, t5: bool = True) -> Path:
    """Of Stable Diffusion 3.5's layout: four blocks, two of them with a second attention."""
    torch.manual_seed(0)
    for end in ("", "_2"):
        _clip(folder, end, CLIPTextModelWithProjection)
    if t5:
        _t5(folder, "_3")
    SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=4,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=24,
        pos_embed_max_size=16,
        dual_attention_layers=(0, 2),
        qk_norm="rms_norm",
    ).save_pretrained(folder / "transformer")
    autoencoder(scaling_factor=1.5305, shift_factor=0.0609).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    return folder


def sd3_pipeline(model: Any, folder: Path) -> Any:
    """diffusers' own, of the same networks."""
    first, second, *third = model.texts.networks
    return StableDiffusion3Pipeline(
        transformer=model.denoiser.network,
        vae=model.autoencoder.network,
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=first,
        text_encoder_2=second,
        text_encoder_3=third[0] if third else None,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        tokenizer_3=T5TokenizerFast.from_pretrained(folder / "tokenizer_3") if third else None,
    )


def build_flux(folder: Path, distilled: bool = True) -> Path:
    """Of FLUX.1's layout: two blocks with two streams and three with one; ``distilled`` for guidance."""
    torch.manual_seed(0)
    _clip(folder, "", CLIPTextModel)
    _t5(folder, "_2")
    FluxTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=12,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=16,
        guidance_embeds=distilled,
        axes_dims_rope=(4, 4, 4),
    ).save_pretrained(folder / "transformer")
    autoencoder(scaling_factor=0.3611, shift_factor=0.1159).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).save_pretrained(folder / "scheduler")
    return folder


def flux_pipeline(model: Any, folder: Path) -> Any:
    """diffusers' own, of the same networks."""
    clip, t5 = model.texts.networks
    return FluxPipeline(
        transformer=model.denoiser.network,
        vae=model.autoencoder.network,
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=clip,
        text_encoder_2=t5,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=T5TokenizerFast.from_pretrained(folder / "tokenizer_2"),
    )


def build_z_image(folder: Path, fixed: bool = True) -> Path:
    """Of Z-Image's layout: five blocks, and before them one of the picture's and one of the text's own.

    fixed: whether its shift is one for all sizes, as in those that were published.
    """
    torch.manual_seed(0)
    _chat(folder, "", Qwen3Model, Qwen3Config)
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=24,
        n_layers=5,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 4, 4],
    )
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token)
    transformer.save_pretrained(folder / "transformer")
    autoencoder(scaling_factor=0.3611, shift_factor=0.1159).save_pretrained(folder / "vae")
    shift = {"shift": 3.0} if fixed else {"use_dynamic_shifting": True}
    FlowMatchEulerDiscreteScheduler(**shift).save_pretrained(folder / "scheduler")
    return folder


def _chat(folder: Path, end: str, kind: Any, config: Any) -> None:
    """A language model that reads single bytes."""
    marks = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
    words = [*sorted(ByteLevel.alphabet()), *marks]
    tokenizer = Qwen2TokenizerFast(vocab={word: number for number, word in enumerate(words)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": list(marks[:2])})
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder / f"tokenizer{end}")
    kind(
        config(
            vocab_size=len(words),
            hidden_size=WIDTH,
            intermediate_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
        )
    ).save_pretrained(folder / f"text_encoder{end}")


def z_image_pipeline(model: Any, folder: Path) -> Any:
    """diffusers' own, of the same networks."""
    return ZImagePipeline(
        transformer=model.denoiser.network,
        vae=model.autoencoder.network,
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=model.texts.networks[0],
        tokenizer=Qwen2TokenizerFast.from_pretrained(folder / "tokenizer"),
    )


def build_qwen(folder: Path) -> Path:
    """Of Qwen-Image's layout: four blocks, and latents whose channels are far from alike."""
    torch.manual_seed(0)
    # the template's words are a token each, as in Qwen's own
    tokenizer = Qwen2Tokenizer().train_new_from_iterator([TEMPLATE.format("a photo of a cat, a dog")], 1000)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.save_pretrained(folder / "tokenizer")
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 3, 3]},
    }
    eye = {"depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2, "out_hidden_size": WIDTH}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=eye)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "text_encoder")
    QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=4,
        attention_head_dim=12,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 4),
    ).save_pretrained(folder / "transformer")
    AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[0.5, 1.5, 1.0, 2.0],
    ).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, max_image_seq_len=8192, max_shift=0.9, shift_terminal=0.02
    ).save_pretrained(folder / "scheduler")
    return folder


def qwen_pipeline(model: Any, folder: Path) -> Any:
    """diffusers' own, of the same networks."""
    return QwenImagePipeline(
        transformer=model.denoiser.network,
        vae=model.autoencoder.network,
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=model.texts.networks[0],
        tokenizer=Qwen2Tokenizer.from_pretrained(folder / "tokenizer"),
    )


def _flux_packed(latents: torch.Tensor) -> torch.Tensor:
    count, channels, height, width = latents.shape
    return FluxPipeline._pack_latents(latents, count, channels, height, width)


_FLUX_SITES = (
    *("transformer_blocks.0.attn", "transformer_blocks.1.attn"),
    *(f"single_transformer_blocks.{number}.attn" for number in range(3)),
)
TINY: dict[str, Tiny] = {
    "sd3": Tiny(
        build_sd3,
        sd3_pipeline,
        lambda latents: latents,
        {"guidance_scale": "guidance"},
        (16, 4, 6),
        ("transformer_blocks.2.attn", "transformer_blocks.2.attn2", "transformer_blocks.3.attn"),
    ),
    "flux": Tiny(
        build_flux,
        flux_pipeline,
        _flux_packed,
        {"guidance_scale": 1.0, "true_cfg_scale": "guidance"},
        (24, 4, 6),
        _FLUX_SITES,
    ),
    "flux2_klein": Tiny(
        build_klein,
        klein_pipeline,
        lambda latents: latents,
        {"guidance_scale": "guidance"},
        (32, 4, 6),
        _FLUX_SITES,
    ),
    "flux2_dev": Tiny(
        build_dev,
        dev_pipeline,
        lambda latents: latents,
        {"guidance_scale": 1.0, "guided": "guidance"},
        (32, 4, 6),
        _FLUX_SITES,
    ),
    "z-image": Tiny(
        build_z_image,
        z_image_pipeline,
        lambda latents: latents,
        {"guidance_scale": "guidance - 1"},  # of a text beyond itself
        (24, 4, 6),
        tuple(f"layers.{number}.attention" for number in (2, 3, 4)),
    ),
    "qwen": Tiny(
        build_qwen,
        qwen_pipeline,
        _flux_packed,
        {"true_cfg_scale": "guidance"},
        (24, 4, 6),
        ("transformer_blocks.2.attn", "transformer_blocks.3.attn"),
    ),
}
