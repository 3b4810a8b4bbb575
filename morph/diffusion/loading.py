"""Build a model from its files. Safetensors only: a pickle can run code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
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
    if not (folder / WEIGHT_FILES["unet"]).is_file():
        raise ModelError(f"ControlNet {folder} has no {WEIGHT_FILES['unet']}; only safetensors are loaded")
    kind = read_json(folder / "config.json").get("_class_name")
    if kind != "ControlNetModel":
        raise ModelError(f"{folder} is a {kind}, not a ControlNetModel")
    network = _loaded(ControlNetModel, folder, torch_dtype=torch.float32)
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
    from transformers import CLIPTextModel, CLIPTokenizer

    for part, file in WEIGHT_FILES.items():
        if not (folder / part / file).is_file():
            pickles = [path.name for path in sorted((folder / part).glob("*.bin"))]
            hint = f"it holds {', '.join(pickles)}, which is refused: pickles can run code" if pickles else ""
            raise ModelError(f"{folder / part} has no {file}; only safetensors are loaded. {hint}".rstrip(". "))
    parts: dict[str, Any] = {}
    supported = {"vae": ("AutoencoderKL", "AutoencoderTiny"), "unet": ("UNet2DConditionModel",)}
    for part, classes in supported.items():
        kind = read_json(folder / part / "config.json").get("_class_name")
        if kind not in classes:
            raise ModelError(f"{folder / part} is a {kind}; supported are {', '.join(classes)}")
        parts[part] = _loaded(getattr(diffusers, kind), folder / part, torch_dtype=torch.float32)
    parts["text_encoder"] = _loaded(CLIPTextModel, folder / "text_encoder", dtype=torch.float32)
    parts["tokenizer"] = _tokenizer(CLIPTokenizer, folder / "tokenizer")
    _check_fit(folder, **{name: part.config for name, part in parts.items() if name != "tokenizer"})
    schedule = Schedule.from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    return LatentDiffusion(**parts, schedule=schedule, name=name)


def _loaded(kind: Any, folder: Path, **types: torch.dtype) -> Any:
    """A part of a model, on the CPU: every tensor that it has comes from its file, and none of the file is left.

    Raises:
        ModelError: with the file, and the tensor where there is one at fault.
    """
    read_json(folder / "config.json")
    resized = {"ignore_mismatched_sizes": True} if "dtype" in types else {}  # transformers tells of these then
    try:
        with _silence():
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


def _tokenizer(kind: Any, folder: Path) -> Any:
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
        with _silence():
            return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a damaged file makes of the libraries that read it
        raise ModelError(f"{folder} cannot be loaded: {_DAMAGED}") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the libraries' own reports and bars off the screen: what is wrong is told once, in one line."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)


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
