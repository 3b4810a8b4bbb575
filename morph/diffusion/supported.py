"""Which models are supported, told by their configs alone; no torch, so that a plan refuses what loading would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from morph.diffusion.families import (
    CHANNELS,
    FLUX1,
    FLUX2_KLEIN,
    QWEN_IMAGE,
    SD3,
    SIZES,
    STABLE_DIFFUSION,
    SUPPORTED,
    Z_IMAGE,
    Z_IMAGE_TOKENS,
    family_of,
    is_shown_pictures,
)
from morph.diffusion.sight import Sight
from morph.diffusion.spacing import FlowSpacing, Spacing
from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.stored import stored

# What diffusers and transformers take where a config says nothing.
_TEXT_WIDTH, _HIDDEN = 1280, 512
_NOT_OURS = "guidance_embeds", "use_additional_t_cond", "use_layer3d_rope"
"""What Qwen-Image's denoisers have that are guided otherwise, or paint pictures in layers."""
_STATISTIC = 1e-6, 1e6
"""What a deviation of latents is between."""
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


def check_configs(folder: Path, edits: bool = False) -> None:
    """Refuse other architectures, and what only looks like one of ours: for inpainting, or a refiner.

    With ``edits`` it may be one that only changes pictures as a text says: a U-Net that is shown a picture's
    latents too, as InstructPix2Pix's, or Qwen-Image-Edit.

    Raises:
        ModelError: what it is, and what is supported.
    """
    family = family_of(folder)
    if family.edits == "only" and not edits:
        raise ModelError(
            f"model {folder} is {family.title}, which changes a picture as it is told and paints none from a text "
            "alone: it is for morph edit --how instruct"
        )
    part, denoiser = family.denoiser
    classes_of = {"vae": family.autoencoders, part: (denoiser,)}
    configs = {part: read_json(folder / part / "config.json") for part in (*classes_of, *family.text_parts(folder))}
    for part, classes in classes_of.items():
        if (kind := configs[part].get("_class_name")) not in classes:
            named = f"is a {kind}" if kind else "has a config.json that names no class"
            raise ModelError(f"{folder / part} {named}; supported are {', '.join(classes)}")
    if edits and part == STABLE_DIFFUSION.denoiser[0] and is_shown_pictures(configs[part]):
        configs[part] = configs[part] | {"in_channels": configs[part].get("out_channels", CHANNELS)}
    _CHECKS[denoiser](folder, *configs.values())


def check_steps(folder: Path, steps: int) -> None:
    """Refuse a number of steps that a model's schedule cannot take.

    Raises:
        SettingsError: with a number that it could.
        ModelError: a schedule that is not supported.
    """
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    if sigmas := family_of(folder).flow:
        FlowSpacing.from_config(config, sigmas).check(steps)
    else:
        Spacing.from_config(config).times(steps)


def _check_unet(folder: Path, vae: dict[str, Any], unet: dict[str, Any], *towers: dict[str, Any]) -> None:
    channels = [vae.get("latent_channels", CHANNELS)]
    channels += [unet.get(side, CHANNELS) for side in ("in_channels", "out_channels")]
    tower_widths = [_text(tower).get("hidden_size", _HIDDEN) for tower in towers]
    widths = [unet.get("cross_attention_dim", _TEXT_WIDTH), *tower_widths]
    added = unet.get("addition_embed_type")
    extra = unet.get("class_embed_type") or (None if added == SIZES else added)
    summed = _numbers(tower_widths) and widths[0] == sum(tower_widths)
    if not _same(channels) or not summed or extra:
        raise _other(folder, channels, f"text widths {widths}, extra embedding {extra}")


def _check_sd3(folder: Path, vae: dict[str, Any], transformer: dict[str, Any], *towers: dict[str, Any]) -> None:
    clips, t5 = towers[:2], towers[2:]
    inner = transformer.get("in_channels", 16)
    channels = [vae.get("latent_channels", CHANNELS), inner, transformer.get("out_channels") or inner]
    width, pooled = (transformer.get(key) for key in ("joint_attention_dim", "pooled_projection_dim"))
    widths = [tower.get("hidden_size", _HIDDEN) for tower in clips]
    vectors = [tower.get("projection_dim", _HIDDEN) for tower in clips]
    fits = _numbers([width, pooled, *widths, *vectors]) and sum(widths) <= width and sum(vectors) == pooled
    if not _same(channels) or not fits or any(tower.get("d_model", _HIDDEN) != width for tower in t5):
        raise _other(folder, channels, f"text widths {[width, *widths]}, vectors {[pooled, *vectors]}")


def _check_flux(
    folder: Path, vae: dict[str, Any], transformer: dict[str, Any], clip: dict[str, Any], t5: dict[str, Any]
) -> None:
    inner, latents = transformer.get("in_channels", 64), vae.get("latent_channels", CHANNELS)
    packed = latents * FLUX1.patch**2 if isinstance(latents, int) else latents
    channels = [packed, inner, transformer.get("out_channels") or inner]
    widths = [transformer.get("joint_attention_dim", 4096), t5.get("d_model", _HIDDEN)]
    vectors = [transformer.get("pooled_projection_dim", 768), _text(clip).get("hidden_size", _HIDDEN)]
    if not all(map(_same, (channels, widths, vectors))):
        raise _other(folder, channels, f"text widths {widths}, vectors {vectors}")


def _check_z_image(folder: Path, vae: dict[str, Any], transformer: dict[str, Any], qwen: dict[str, Any]) -> None:
    channels = [vae.get("latent_channels", CHANNELS), transformer.get("in_channels", 16)]
    widths = [transformer.get("cap_feat_dim", 2560), qwen.get("hidden_size", 4096)]
    patches = [transformer.get(key, [default]) for key, default in (("all_patch_size", 2), ("all_f_patch_size", 1))]
    places, seen = transformer.get("axes_lens", [1024, 512, 512]), transformer.get("siglip_feat_dim")
    # a text's places are from 1 on, and its picture's is behind them
    room = isinstance(places, list) and len(places) == 3 and _numbers(places) and places[0] > Z_IMAGE_TOKENS + 1
    if not _same(channels) or not _same(widths) or patches != [[Z_IMAGE.patch], [1]] or not room or seen:
        details = f"text widths {widths}, patches {patches}, places {places}, pictures as wide as {seen}"
        raise _other(folder, channels, details)


def _check_flux2(folder: Path, vae: dict[str, Any], transformer: dict[str, Any], tower: dict[str, Any]) -> None:
    inner, latents, text = transformer.get("in_channels", 128), vae.get("latent_channels", 32), _text(tower)
    folded, told = FLUX2_KLEIN.folded, family_of(folder).layers
    packed = latents * folded**2 if isinstance(latents, int) else latents
    channels = [packed, inner, transformer.get("out_channels") or inner]
    patches = [vae.get("patch_size", [folded, folded]), transformer.get("patch_size", 1)]
    layers = text.get("num_hidden_layers", 32)
    widths = [transformer.get("joint_attention_dim", 15360), text.get("hidden_size")]
    fits = _numbers([*widths, layers]) and widths[0] == widths[1] * len(told) and layers >= max(told)
    if not _same(channels) or patches != [[folded, folded], 1] or not fits:
        raise _other(folder, channels, f"patches {patches}, text widths {widths}, text layers {layers}")


def _check_qwen(folder: Path, vae: dict[str, Any], transformer: dict[str, Any], qwen: dict[str, Any]) -> None:
    latents, inner = vae.get("z_dim", 16), transformer.get("in_channels", 64)
    packed = [
        channels * QWEN_IMAGE.patch**2 if isinstance(channels, int) else channels
        for channels in (latents, transformer.get("out_channels", 16) or inner)
    ]
    widths = [transformer.get("joint_attention_dim", 3584), _text(qwen).get("hidden_size", _HIDDEN)]
    edits = family_of(folder).edits
    extra = [key for key in (*_NOT_OURS, *(() if edits else ("zero_cond_t",))) if transformer.get(key)]
    pictures = vae.get("input_channels", 3) == 3 and transformer.get("patch_size", 2) == QWEN_IMAGE.patch
    if not _same([*packed, inner]) or not _same(widths) or extra or not pictures:
        raise _other(folder, [*packed, inner], f"text widths {widths}, extra {', '.join(extra) or None}")
    least, most = _STATISTIC
    for key, lowest in (("latents_mean", -most), ("latents_std", least)):
        values = vae.get(key)
        given: list[Any] = values if isinstance(values, list) and len(values) == latents else [None]
        if not all(type(value) in (int, float) and lowest <= value <= most for value in given):
            raise ModelError(f"{folder / 'vae'}: {key} must be {latents} numbers from {lowest:g} to {most:g}")
    if edits:
        Sight.from_folder(folder).check(qwen)


def _text(tower: dict[str, Any]) -> dict[str, Any]:
    """What a text encoder's config says of the text, where it is that of a whole CLIP."""
    text = tower.get("text_config")
    return text if isinstance(text, dict) else tower


def _numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int) for value in values)


def _same(values: Sequence[Any]) -> bool:
    return len(set(map(str, values))) == 1


def _other(folder: Path, channels: Sequence[Any], details: str) -> ModelError:
    listed = ", ".join(sorted(set(map(str, channels))))
    return ModelError(
        f"model {folder} is not a plain text-to-image model: latent channels {listed}, {details}; "
        f"supported are {SUPPORTED}"
    )


_CHECKS: dict[str, Callable[..., None]] = {
    STABLE_DIFFUSION.denoiser[1]: _check_unet,
    SD3.denoiser[1]: _check_sd3,
    FLUX1.denoiser[1]: _check_flux,
    Z_IMAGE.denoiser[1]: _check_z_image,
    FLUX2_KLEIN.denoiser[1]: _check_flux2,
    QWEN_IMAGE.denoiser[1]: _check_qwen,
}
"""By the class of the denoiser."""


def check_controlnet(folder: Path, name: str, unet: Any) -> None:
    """Refuse what is no ControlNet, or one of another kind of denoiser than a model's, whose config ``unet`` is.

    Raises:
        ModelError: what it is.
    """
    if not stored(folder, WEIGHT_FILES["unet"]):
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
