"""Build a model from its files. Safetensors only: a pickle can run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, check_hashes, locate, read_json


def load_model(
    source: str = "embedded",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    controlnet: str | None = None,
) -> LatentDiffusion:
    """The model called "embedded", in a local diffusers folder, or of a hub id such as ``owner/name``.

    Stable Diffusion 1.x and 2.x: epsilon or v-prediction, AutoencoderKL or AutoencoderTiny. Only a hub id
    that is no folder touches the network, and with ``HF_HUB_OFFLINE=1`` not even that. ``controlnet`` is a
    folder or a hub id too, such as ``lllyasviel/control_v11p_sd15_openpose``.

    Raises:
        ModelError: nothing there, weights that are not safetensors, damaged, or of an unsupported kind.
    """
    folder, name = locate(source)
    if name == "embedded":
        check_hashes(folder)
    model = from_folder(folder, name)
    if controlnet:
        add_controlnet(model, controlnet)
    return model.to(device, dtype)


def add_controlnet(model: LatentDiffusion, source: str) -> None:
    """Give a model the ControlNet in a folder or of a hub id, in float32 on the CPU.

    Raises:
        ModelError: nothing there, no safetensors, or made for another kind of denoiser than the model's.
    """
    from diffusers import ControlNetModel
    from safetensors import SafetensorError

    folder, name = locate(source, patterns=("config.json", WEIGHT_FILES["unet"]))
    if not (folder / WEIGHT_FILES["unet"]).is_file():
        raise ModelError(f"ControlNet {folder} has no {WEIGHT_FILES['unet']}; only safetensors are loaded")
    kind = read_json(folder / "config.json").get("_class_name")
    if kind != "ControlNetModel":
        raise ModelError(f"{folder} is a {kind}, not a ControlNetModel")
    try:
        network = ControlNetModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"ControlNet {folder} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    for key in ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim"):
        expected, found = model.unet.config[key], network.config[key]
        if list(expected) != list(found) if isinstance(expected, (list, tuple)) else expected != found:
            raise ModelError(
                f"ControlNet {folder} does not suit model {model.name}: {key} is {found} and not {expected}"
            )
    model.guide(network, name)


def from_folder(folder: Path, name: str) -> LatentDiffusion:
    """The model in a diffusers folder of vae, unet, text_encoder, tokenizer and scheduler: float32, on the CPU."""
    import diffusers
    from safetensors import SafetensorError
    from transformers import CLIPTextModel, CLIPTokenizer

    for part, file in WEIGHT_FILES.items():
        if not (folder / part / file).is_file():
            pickles = [path.name for path in sorted((folder / part).glob("*.bin"))]
            hint = f"it holds {', '.join(pickles)}, which is refused: pickles can run code" if pickles else ""
            raise ModelError(f"{folder / part} has no {file}; only safetensors are loaded. {hint}".rstrip(". "))
    parts: dict[str, Any] = {}
    supported = {"vae": ("AutoencoderKL", "AutoencoderTiny"), "unet": ("UNet2DConditionModel",)}
    try:
        for part, classes in supported.items():
            kind = read_json(folder / part / "config.json").get("_class_name")
            if kind not in classes:
                raise ModelError(f"{folder / part} is a {kind}; supported are {', '.join(classes)}")
            parts[part] = getattr(diffusers, kind).from_pretrained(
                folder / part, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
            )
        parts["text_encoder"] = CLIPTextModel.from_pretrained(
            folder / "text_encoder", use_safetensors=True, local_files_only=True, dtype=torch.float32
        )
        parts["tokenizer"] = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"model {folder} cannot be loaded: {reason}") from error
    _check_fit(folder, **{name: part.config for name, part in parts.items() if name != "tokenizer"})
    schedule = Schedule.from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    return LatentDiffusion(**parts, schedule=schedule, name=name)


def _check_fit(folder: Path, vae: Any, unet: Any, text_encoder: Any) -> None:
    """Refuse models that only look like Stable Diffusion 1.x or 2.x: inpainting, SDXL, mixed parts."""
    channels = {int(vae.latent_channels), int(unet.in_channels), int(unet.out_channels)}
    widths = {unet.cross_attention_dim, text_encoder.hidden_size}
    extra_embedding = unet.get("addition_embed_type") or unet.get("class_embed_type")
    if len(channels) > 1 or len(widths) > 1 or extra_embedding:
        raise ModelError(
            f"model {folder} is not a plain text-to-image model: latent channels {sorted(channels)}, text widths "
            f"{sorted(widths)}, extra embedding {extra_embedding}; supported are Stable Diffusion 1.x and 2.x"
        )
