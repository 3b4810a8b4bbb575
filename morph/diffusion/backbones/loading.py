"""Build a model from its files. Safetensors only: a pickle can run code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from morph.diffusion.backbones.building import build
from morph.diffusion.families import TOKENIZERS, family_of
from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.offload import Offload
from morph.diffusion.published import Published
from morph.diffusion.sight import Sight
from morph.diffusion.supported import check_configs, check_controlnet, check_weights
from morph.diffusion.word import Word
from morph.weights.locate import WEIGHT_FILES, check_hashes, locate, read_json
from morph.weights.parts import load_part, load_tokenizer
from morph.weights.semantic import PART, WEIGHTS, hash_of_codes
from morph.weights.stored import stored


def load_model(
    source: str = "embedded",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    controlnet: str | None = None,
    loras: Iterable[tuple[Path, float]] = (),
    tokens: Iterable[tuple[Path, str]] = (),
    offload: Offload = "none",
    edits: bool = False,
) -> LatentDiffusion:
    """The model called "embedded", in a local diffusers folder, or of a hub id such as ``owner/name``.

    Of the families of :mod:`morph.diffusion.families`. Only a hub id that is no folder
    touches the network, and with ``HF_HUB_OFFLINE=1`` not even that. ``controlnet``, for 1.x, 2.x and XL, is a
    folder or a hub id too, such as ``lllyasviel/control_v11p_sd15_openpose``. ``loras`` are files of published
    LoRAs, which are added to the weights, each so many times as it says, and ``tokens`` those of textual
    inversions, each with the word that it is, or "" for its own. ``offload``: see :meth:`LatentDiffusion.to`.
    ``edits``: see :func:`check_configs`.

    Raises:
        ModelError: nothing there, weights that are not safetensors, damaged, or of an unsupported kind.
    """
    folder, name = locate(source)
    if name == "embedded":
        check_hashes(folder)
    model = from_folder(folder, name, edits)
    if controlnet:
        add_controlnet(model, controlnet)
    for path, weight in loras:
        Published.read(path, model).merge(model, weight)
    for path, word in tokens:
        Word.read(path, word).teach(model)
    return model.to(device, dtype, offload)


def add_controlnet(model: LatentDiffusion, source: str) -> None:
    """Give a model the ControlNet in a folder or of a hub id, in float32 on the CPU.

    Raises:
        ModelError: nothing there, no safetensors, or made for another kind of denoiser than the model's.
    """
    from diffusers import ControlNetModel

    folder, name = locate(source, patterns=("config.json", WEIGHT_FILES["unet"]))
    check_controlnet(folder, model.name, model.denoiser.network.config)
    weights = stored(folder, WEIGHT_FILES["unet"])
    network = load_part(ControlNetModel, folder, weights.variant if weights else "", torch_dtype=torch.float32)
    model.guide(network, name)


def from_folder(folder: Path, name: str, edits: bool = False) -> LatentDiffusion:
    """The model in a diffusers folder of its networks, tokenizers and scheduler, on the CPU.

    In float32, but for large networks that are stored in 16 bits: these are as they are stored until they are cast.
    """
    import diffusers
    import transformers

    check_weights(folder)
    check_configs(folder, edits)

    def network(part: str) -> Any:
        kind = read_json(folder / part / "config.json")["_class_name"]
        variant, dtype = kept(part)
        return load_part(getattr(diffusers, kind), folder / part, variant, torch_dtype=dtype)

    def kept(part: str) -> tuple[str, torch.dtype]:
        weights = stored(folder / part, WEIGHT_FILES[part])
        return (weights.variant, getattr(torch, weights.kept)) if weights else ("", torch.float32)

    family = family_of(folder)
    sight = Sight.from_folder(folder) if family.edits == "only" else None
    towers = []
    for part, kind in family.text_parts(folder).items():
        variant, dtype = kept(part)
        encoder = load_part(getattr(transformers, kind), folder / part, variant, dtype=dtype)
        for weight in encoder.parameters():  # transformers takes some of T5's to float32
            weight.data = weight.data.to(dtype)
        reader = getattr(transformers, TOKENIZERS[kind])
        tokenizer = load_tokenizer(reader, folder / part.replace("text_encoder", "tokenizer"))
        towers.append((encoder, (tokenizer, sight) if sight else tokenizer))
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    model = build(family, network("vae"), network(family.denoiser[0]), towers, config, name)
    model.geometry = Geometry.from_folder(folder)
    if (codes := folder / PART / WEIGHTS).is_file():  # which are trained anew while all else stays what it was
        model.carry(hash_of_codes(codes))
    return model
