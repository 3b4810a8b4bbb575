"""Which models are supported, told by their configs alone; no torch, so that a plan refuses what loading would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from morph.diffusion.families import SD3, SIZES, SUPPORTED, family_of
from morph.diffusion.spacing import FlowSpacing, Spacing
from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.stored import stored

AUTOENCODERS = "AutoencoderKL", "AutoencoderTiny"
# What diffusers and transformers take where a config says nothing.
_CHANNELS, _TEXT_WIDTH, _HIDDEN = 4, 1280, 512
_GUIDED = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim")
"""What a ControlNet and the denoiser that it guides have in common."""


def check_weights(folder: Path) -> None:
    """Refuse a model's folder without safetensors, in one file or in shards, whole or in 16 bits.

    Raises:
        ModelError: which file is missing, and what is there instead.
    """
    family = family_of(folder)
    for part in ("vae", family.denoiser[0], *family.text_parts(folder)):
        file = WEIGHT_FILES[part]
        if not stored(folder / part, file):
            others = [path.name for path in sorted((folder / part).glob("*.bin"))]
            found = f"it holds {', '.join(others)}, which is refused: pickles can run code" if others else ""
            raise ModelError(f"{folder / part} has no {file}; only safetensors are loaded. {found}".rstrip(". "))


def check_configs(folder: Path) -> None:
    """Refuse other architectures, and what only looks like one of ours: for inpainting, or a refiner.

    Raises:
        ModelError: what it is, and what is supported.
    """
    family = family_of(folder)
    part, denoiser = family.denoiser
    classes_of = {"vae": AUTOENCODERS, part: (denoiser,)}
    configs = {part: read_json(folder / part / "config.json") for part in (*classes_of, *family.text_parts(folder))}
    for part, classes in classes_of.items():
        if (kind := configs[part].get("_class_name")) not in classes:
            named = f"is a {kind}" if kind else "has a config.json that names no class"
            raise ModelError(f"{folder / part} {named}; supported are {', '.join(classes)}")
    (_check_transformer if family is SD3 else _check_unet)(folder, *configs.values())


def check_steps(folder: Path, steps: int) -> None:
    """Refuse a number of steps that a model's schedule cannot take.

    Raises:
        SettingsError: with a number that it could.
        ModelError: a schedule that is not supported.
    """
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    if family_of(folder) is SD3:
        FlowSpacing.from_config(config).check(steps)
    else:
        Spacing.from_config(config).times(steps)


def _check_unet(folder: Path, vae: dict[str, Any], unet: dict[str, Any], *towers: dict[str, Any]) -> None:
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
            f"text widths {widths}, extra embedding {extra}; supported are {SUPPORTED}"
        )


def _check_transformer(
    folder: Path, vae: dict[str, Any], transformer: dict[str, Any], *towers: dict[str, Any]
) -> None:
    clips, t5 = towers[:2], towers[2:]
    inner = transformer.get("in_channels", 16)
    channels = set(
        map(str, [vae.get("latent_channels", _CHANNELS), inner, transformer.get("out_channels") or inner])
    )
    width, pooled = (transformer.get(key) for key in ("joint_attention_dim", "pooled_projection_dim"))
    widths = [tower.get("hidden_size", _HIDDEN) for tower in clips]
    vectors = [tower.get("projection_dim", _HIDDEN) for tower in clips]
    plain = all(isinstance(number, int) for number in (width, pooled, *widths, *vectors))
    fits = plain and sum(widths) <= width and sum(vectors) == pooled
    if len(channels) > 1 or not fits or any(tower.get("d_model", _HIDDEN) != width for tower in t5):
        raise ModelError(
            f"model {folder} is not a plain text-to-image model: latent channels {', '.join(sorted(channels))}, "
            f"text widths {[width, *widths]}, vectors {[pooled, *vectors]}; supported are {SUPPORTED}"
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
