"""Where a model's files are, and whether they are whole; no torch."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morph.errors import ModelError
from morph.text import parse_json, read_text
from morph.weights.hub import snapshot

EMBEDDED = Path(__file__).parents[1] / "embedded" / "model"
WEIGHT_FILES = {
    "vae": "diffusion_pytorch_model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "text_encoder_2": "model.safetensors",
    "transformer": "diffusion_pytorch_model.safetensors",
    "text_encoder_3": "model.safetensors",
    "image_encoder": "model.safetensors",
    "semantic": "model.safetensors",
}
MAX_JSON = 32 * 1024**2
"""Bytes of a model's configuration, of a tokenizer (Mistral's has 17 MB), or of the list of its hashes."""
HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
DENOISER_FILES = "*.json", "tokenizer*/*", *(f"{part}/{file}" for part, file in WEIGHT_FILES.items())
"""What is fetched of a hub model: its configs, tokenizers and safetensors, nothing else."""
CONFIG_FILES = "model_index.json", "morph.json", "*config.json"
"""The few kilobytes among these that say what kind of model it is."""


def locate(source: str, *, fetch: bool = True, patterns: Sequence[str] = DENOISER_FILES) -> tuple[Path, str]:
    """The folder and the name of the model called "embedded", in a folder, or of a hub id ``owner/name``.

    Only a hub id that is no folder touches the network, and only with ``fetch``; ``HF_HUB_OFFLINE=1``
    forbids even that. Of a hub model, only the files of ``patterns`` are fetched.

    Raises:
        ModelError: there is no such model.
    """
    if source == "embedded":
        return EMBEDDED, source
    if os.path.isdir(source):  # which a name that none can have is not
        return Path(source), str(Path(source).resolve())
    if HUB_ID.fullmatch(source):
        return snapshot(source, fetch, patterns), source
    raise ModelError(f"model {source!r} is neither 'embedded', a folder, nor a hub id such as owner/name")


def check_name(source: str) -> None:
    """Refuse what names no model; one of the hub is not looked for.

    Raises:
        ModelError: it is neither "embedded", a folder, nor a hub id.
    """
    if os.path.isdir(source) or not HUB_ID.fullmatch(source):
        locate(source)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder.

    Raises:
        ModelError: it is not there, larger than 32 MiB, or no JSON object.
    """
    try:
        text = read_text(path, MAX_JSON, "a file of a model", ModelError)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; a model is a diffusers folder") from None
    content = parse_json(path, text, ModelError)
    if not isinstance(content, dict):
        raise ModelError(f"{path}: is no JSON object; a model is a diffusers folder")
    return content


def check_hashes(folder: Path) -> None:
    """Compare every file that ``sha256.json`` lists with its hash; a damaged model is a ModelError."""
    for name, expected in read_json(folder / "sha256.json").items():
        path = folder / name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        except (OSError, ValueError):  # ValueError: a NUL in the name
            found = ""
        if not found or found != expected:
            raise ModelError(f"{path} is missing or damaged; install morph again")
