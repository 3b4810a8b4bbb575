"""Build a model from its files. Safetensors only: a pickle can run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
from morph.diffusion.supported import CLASSES, check_configs, check_controlnet, check_weights
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
    check_controlnet(folder, model.name, model.unet.config)
    try:
        network = ControlNetModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"ControlNet {folder} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    model.guide(network, name)


def from_folder(folder: Path, name: str) -> LatentDiffusion:
    """The model in a diffusers folder of vae, unet, text_encoder, tokenizer and scheduler: float32, on the CPU."""
    import diffusers
    from safetensors import SafetensorError
    from transformers import CLIPTextModel, CLIPTokenizer

    check_weights(folder)
    check_configs(folder)
    parts: dict[str, Any] = {}
    try:
        for part in CLASSES:
            kind = read_json(folder / part / "config.json")["_class_name"]
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
    schedule = Schedule.from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    return LatentDiffusion(**parts, schedule=schedule, name=name)
