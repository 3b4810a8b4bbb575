"""What published LoRAs call their matrices, in the spellings of diffusers, PEFT and Kohya; no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from morph.errors import ModelError
from morph.weights.read import DAMAGED, read_header

DENOISER = -1
"""The part that is no text encoder; these are counted from 0."""
_MATRIX = re.compile(r"(.+?)(?:\.lora_(?:linear_layer\.)?|[._]lora\.)(A|B|down|up)(?:\.default)?\.weight")
_ALPHA = re.compile(r"(.+?)(?:[._]lora)?\.alpha")
_SIDES = {"A": "down", "B": "up", "down": "down", "up": "up"}
_DENOISER = re.compile(r"(?:unet|transformer|diffusion_model)\.|lora_(?:unet|transformer)_")
_TEXT = re.compile(r"text_encoder(?:_([23]))?\.|lora_te([123]?)_")
_LARGEST_ALPHA = 1e6
_TOLD = "lora_adapter_metadata"
"""Where diffusers says the alphas of a file in PEFT's spelling."""


@dataclass(frozen=True)
class LoraKeys:
    """The tensors of one updated layer. down, up and alpha are the keys of its tensors; alpha may be missing.

    part: ``DENOISER``, or the number of a text encoder. layer: its name in there, as the file spells it. told: the
    alpha of the whole part, which counts where the layer has none; None without one.
    """

    part: int
    layer: str
    down: str
    up: str
    alpha: str | None
    told: float | None = None


def lora_keys(path: Path) -> list[LoraKeys]:
    """The layers that the LoRA in a safetensors file updates; no tensor is read.

    Raises:
        ModelError: no such file, no safetensors, or a key of something else than a plain LoRA: of DoRA, LoHa, LoKr.
    """
    keys, metadata = read_header(path, "LoRA")
    stems = _by_stem(path, keys)
    if not stems:
        raise ModelError(f"LoRA {path} is empty; copy it again")
    told = _told(path, metadata)
    found = []
    for stem, tensors in stems.items():
        for side in ("down", "up"):
            if side not in tensors:
                raise ModelError(f"LoRA {path} has {min(tensors.values())}, and no {side} matrix with it")
        part, layer = _placed(stem)
        alpha = tensors.get("alpha")
        found.append(LoraKeys(part, layer, tensors["down"], tensors["up"], alpha, told.get(part)))
    return found


def _by_stem(path: Path, keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Keys by what stands before "down", "up" or "alpha" in them, and by these."""
    stems: dict[str, dict[str, str]] = {}
    for key in keys:
        matrix, alpha = _MATRIX.fullmatch(key), _ALPHA.fullmatch(key)
        if matrix:
            stem, side = matrix[1], _SIDES[matrix[2]]
        elif alpha:
            stem, side = alpha[1], "alpha"
        else:
            raise ModelError(
                f"LoRA {path}: {key} is no down or up matrix and no alpha; only plain LoRAs are read, not DoRA, "
                "LoHa, LoKr or others"
            )
        if side in (tensors := stems.setdefault(stem, {})):
            raise ModelError(f"LoRA {path}: {key} and {tensors[side]} are the same; it is damaged")
        tensors[side] = key
    return stems


def _placed(stem: str) -> tuple[int, str]:
    """The part that a layer is in, and its name there. What names no part is of the denoiser."""
    stem = stem.removeprefix("base_model.model.")
    if text := _TEXT.match(stem):
        return int(text[1] or text[2] or 1) - 1, stem[text.end() :]
    denoiser = _DENOISER.match(stem)
    return DENOISER, stem[denoiser.end() if denoiser else 0 :].replace(".processor.", ".")


def _told(path: Path, metadata: Mapping[str, str]) -> dict[int, float]:
    """Alphas of whole parts, where a file has them in its header, as diffusers writes them."""
    if _TOLD not in metadata:
        return {}
    try:
        told = json.loads(metadata[_TOLD])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ModelError(f"LoRA {path}: its {_TOLD} is no JSON object; {DAMAGED}")
    alphas = {}
    for key, value in told.items():
        prefix, _, name = key.rpartition(".")
        if name in ("use_dora", "use_rslora", "alpha_pattern") and value:
            raise ModelError(f"LoRA {path}: it says {name} in its header; only plain LoRAs of one alpha are read")
        if name == "lora_alpha":
            if type(value) not in (int, float) or not abs(value) <= _LARGEST_ALPHA:
                raise ModelError(f"LoRA {path}: {key} in its header is no number that scales; {DAMAGED}")
            alphas[_placed(f"{prefix}.")[0]] = float(value)
    return alphas
