"""Which models are supported, told by their configs alone; no torch, so that a plan refuses what loading would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.stored import stored

CLASSES = {"vae": ("AutoencoderKL", "AutoencoderTiny"), "unet": ("UNet2DConditionModel",)}
SIZES = "text_time"
"""What the config of SDXL's denoiser calls being told the sizes of pictures."""
# What diffusers and transformers take where a config says nothing.
_CHANNELS, _TEXT_WIDTH, _HIDDEN = 4, 1280, 512
_GUIDED = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim")
"""What a ControlNet and the denoiser that it guides have in common."""


def text_parts(folder: Path) -> tuple[str, ...]:
    """The folders of a model's text encoders: one, or two where its denoiser is told sizes, as SDXL's is.

    Raises:
        ModelError: the denoiser's config is missing or damaged.
    """
    sizes = read_json(folder / "unet" / "config.json").get("addition_embed_type") == SIZES
    return ("text_encoder", "text_encoder_2") if sizes else ("text_encoder",)


def check_weights(folder: Path) -> None:
    """Refuse a model's folder without safetensors, in one file or in shards, whole or in 16 bits.

    Raises:
        ModelError: which file is missing, and what is there instead.
    """
    for part in (*CLASSES, *text_parts(folder)):
        file = WEIGHT_FILES[part]
        if not stored(folder / part, file):
            others = [path.name for path in sorted((folder / part).glob("*.bin"))]
            found = f"it holds {', '.join(others)}, which is refused: pickles can run code" if others else ""
            raise ModelError(f"{folder / part} has no {file}; only safetensors are loaded. {found}".rstrip(". "))


def check_configs(folder: Path) -> None:
    """Refuse other architectures, and what only looks like Stable Diffusion: for inpainting, or a refiner.

    Raises:
        ModelError: what it is, and what is supported.
    """
    configs = {part: read_json(folder / part / "config.json") for part in (*CLASSES, *text_parts(folder))}
    for part, classes in CLASSES.items():
        if (kind := configs[part].get("_class_name")) not in classes:
            named = f"is a {kind}" if kind else "has a config.json that names no class"
            raise ModelError(f"{folder / part} {named}; supported are {', '.join(classes)}")
    vae, unet, *towers = configs.values()
    texts = [tower.get("text_config") or tower for tower in towers]
    sizes = [vae.get("latent_channels", _CHANNELS)]
    sizes += [unet.get(side, _CHANNELS) for side in ("in_channels", "out_channels")]
    channels = set(map(str, sizes))
    tower_widths = [text.get("hidden_size", _HIDDEN) for text in texts]
    widths = [unet.get("cross_attention_dim", _TEXT_WIDTH), *tower_widths]
    added = unet.get("addition_embed_type")
    extra = unet.get("class_embed_type") or (None if added == SIZES else added)
    summed = all(isinstance(width, int) for width in tower_widths) and widths[0] == sum(tower_widths)
    if len(channels) > 1 or not summed or extra:
        raise ModelError(
            f"model {folder} is not a plain text-to-image model: latent channels {', '.join(sorted(channels))}, "
            f"text widths {widths}, extra embedding {extra}; supported are Stable Diffusion 1.x, 2.x and XL"
        )


def check_controlnet(folder: Path, name: str, unet: Any) -> None:
    """Refuse what is no ControlNet, or one of another kind of denoiser than a model's, whose config ``unet`` is.

    Raises:
        ModelError: what it is.
    """
    if not (folder / WEIGHT_FILES["unet"]).is_file():
        raise ModelError(f"ControlNet {folder} has no {WEIGHT_FILES['unet']}; only safetensors are loaded")
    config = read_json(folder / "config.json")
    if (kind := config.get("_class_name")) != "ControlNetModel":
        raise ModelError(f"{folder} is a {kind}, not a ControlNetModel")
    for key in _GUIDED:
        if key in config and key in unet and _plain(unet[key]) != _plain(config[key]):
            raise ModelError(
                f"ControlNet {folder} does not suit model {name}: {key} is {config[key]} and not {unet[key]}"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
