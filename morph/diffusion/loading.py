"""Find a model's weights: embedded in the package, in a local folder, or on a hub. Safetensors only."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
from morph.errors import ModelError

EMBEDDED = Path(__file__).parent / "embedded" / "model"
WEIGHTS = {
    "vae": "diffusion_pytorch_model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_model(
    source: str = "embedded", device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> LatentDiffusion:
    """The model called "embedded", in a local diffusers folder, or of a hub id such as ``owner/name``.

    Stable Diffusion 1.x and 2.x: epsilon or v-prediction, AutoencoderKL or AutoencoderTiny. Only a hub id
    that is no folder touches the network, and with ``HF_HUB_OFFLINE=1`` not even that.

    Raises:
        ModelError: nothing there, weights that are not safetensors, damaged, or of an unsupported kind.
    """
    if source == "embedded":
        folder, name = EMBEDDED, "embedded"
        check_hashes(folder)
    elif Path(source).is_dir():
        folder, name = Path(source), str(Path(source).resolve())
    elif HUB_ID.fullmatch(source):
        folder, name = download(source), source
    else:
        raise ModelError(f"model {source!r} is neither 'embedded', a folder, nor a hub id such as owner/name")
    return from_folder(folder, name).to(device, dtype)


def from_folder(folder: Path, name: str) -> LatentDiffusion:
    """The model in a diffusers folder: vae, unet, text_encoder, tokenizer and scheduler, float32 on the CPU."""
    import diffusers
    from transformers import CLIPTextModel, CLIPTokenizer

    for part, file in WEIGHTS.items():
        if not (folder / part / file).is_file():
            others = [path.name for path in sorted((folder / part).glob("*.bin"))]
            found = f"it holds {', '.join(others)}, which is refused: pickles can run code" if others else ""
            raise ModelError(f"{folder / part} has no {file}; only safetensors are loaded. {found}".rstrip(". "))
    parts: dict[str, Any] = {}
    supported = {"vae": ("AutoencoderKL", "AutoencoderTiny"), "unet": ("UNet2DConditionModel",)}
    try:
        for part, classes in supported.items():
            kind = _read_json(folder / part / "config.json").get("_class_name")
            if kind not in classes:
                raise ModelError(f"{folder / part} is a {kind}; supported are {', '.join(classes)}")
            parts[part] = getattr(diffusers, kind).from_pretrained(
                folder / part, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
            )
        parts["text_encoder"] = CLIPTextModel.from_pretrained(
            folder / "text_encoder", use_safetensors=True, local_files_only=True, dtype=torch.float32
        )
        parts["tokenizer"] = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"model {folder} cannot be loaded: {reason}") from error
    schedule = Schedule.from_config(_read_json(folder / "scheduler" / "scheduler_config.json"))
    return LatentDiffusion(**parts, schedule=schedule, name=name)


def download(hub_id: str) -> Path:
    """The folder of a hub model's snapshot; only configs, the tokenizer and whole safetensors are fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"{part}/{file}" for part, file in WEIGHTS.items()]
    try:
        path = snapshot_download(hub_id, allow_patterns=["*.json", "tokenizer/*", *patterns])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"there is no folder {hub_id}, and the hub did not give {hub_id}: {reason}") from error
    return Path(path)


def check_hashes(folder: Path) -> None:
    """Compare every file that ``sha256.json`` lists with its hash; a damaged model is refused."""
    for name, expected in _read_json(folder / "sha256.json").items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise ModelError(f"{path} is missing or damaged; install morph again")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; a model is a diffusers folder") from None
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from None
