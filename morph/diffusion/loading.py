"""Build a model from its files. Safetensors only: a pickle can run code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
from morph.diffusion.silence import silence
from morph.diffusion.supported import CLASSES, check_configs, check_controlnet, check_weights
from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, check_hashes, locate, read_json

_DAMAGED = "its files are damaged, or not those of one model; copy the model again"


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

    folder, name = locate(source, patterns=("config.json", WEIGHT_FILES["unet"]))
    check_controlnet(folder, model.name, model.unet.config)
    network = load_part(ControlNetModel, folder, torch_dtype=torch.float32)
    model.guide(network, name)


def from_folder(folder: Path, name: str) -> LatentDiffusion:
    """The model in a diffusers folder of vae, unet, text_encoder, tokenizer and scheduler: float32, on the CPU."""
    import diffusers
    from transformers import CLIPTextModel, CLIPTokenizer

    check_weights(folder)
    check_configs(folder)
    parts: dict[str, Any] = {}
    for part in CLASSES:
        kind = read_json(folder / part / "config.json")["_class_name"]
        parts[part] = load_part(getattr(diffusers, kind), folder / part, torch_dtype=torch.float32)
    parts["text_encoder"] = load_part(CLIPTextModel, folder / "text_encoder", dtype=torch.float32)
    parts["tokenizer"] = load_tokenizer(CLIPTokenizer, folder / "tokenizer")
    schedule = Schedule.from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    model = LatentDiffusion(**parts, schedule=schedule, name=name)
    model.geometry = Geometry.from_folder(folder)
    return model


def load_part(kind: Any, folder: Path, **types: torch.dtype) -> Any:
    """A part of a model, on the CPU: every tensor that it has comes from its file, and none of the file is left.

    Raises:
        ModelError: with the file, and the tensor where there is one at fault.
    """
    read_json(folder / "config.json")
    resized = {"ignore_mismatched_sizes": True} if "dtype" in types else {}  # transformers tells of these then
    try:
        with silence():
            part, told = kind.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **resized, **types
            )
    except Exception as error:  # whatever a damaged file makes of the libraries that read it
        shape = re.search(r"because (\S+) expected shape \S*?\[([^]]*)\].*? got \S*?\[([^]]*)\]", str(error))
        reason = f"{shape[1]} is ({shape[3]}), and its config wants ({shape[2]})" if shape else _DAMAGED
        raise ModelError(f"{folder} cannot be loaded: {reason}") from error
    for what in ("missing", "unexpected", "mismatched"):
        tensors = [str(key[0] if isinstance(key, tuple) else key) for key in told[f"{what}_keys"]]
        tensors = sorted(name for name in tensors if not name.endswith("position_ids"))  # older files hold these
        if tensors:
            more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
            word = "of another shape" if what == "mismatched" else what
            raise ModelError(f"{folder} cannot be loaded: by its config, {word} is {tensors[0]}{more}")
    return part


def load_tokenizer(kind: Any, folder: Path) -> Any:
    """The tokenizer in a folder.

    Raises:
        ModelError: files are missing or damaged.
    """
    if not (folder / "tokenizer.json").is_file():
        for name in ("vocab.json", "merges.txt"):
            if not (folder / name).is_file():
                raise ModelError(f"{folder} has no tokenizer.json, and no {name} either; copy the model again")
    for file in sorted(folder.glob("*.json")):
        read_json(file)
    try:
        with silence():
            return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a damaged file makes of the libraries that read it
        raise ModelError(f"{folder} cannot be loaded: {_DAMAGED}") from error
