"""Weights from a file: safetensors, or the one pickle that somebody published in no other form."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from morph.errors import ModelError, reason_of

if TYPE_CHECKING:
    from torch import Tensor

DAMAGED = "it is damaged, or something else under this name; copy it again"


def read_weights(path: Path, published: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of the pickle whose SHA-256 is ``published``: pickles can run code.

    Raises:
        ModelError: any other pickle, or a file that cannot be read.
    """
    import safetensors.torch
    import torch

    try:
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            return safetensors.torch.load(data)
        if hashlib.sha256(data).hexdigest() != published:
            raise ModelError(f"{path} is not the published file, and other pickles are refused: use safetensors")
        # weights_only, since nobody should have to trust our word for what is in the file. Said here, it cannot
        # be overruled by the environment.
        weights: dict[str, Tensor] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (OSError, ValueError, EOFError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as weights: {reason_of(error, DAMAGED)}") from error
    return weights


def read_header(path: Path, label: str) -> tuple[list[str], dict[str, str]]:
    """The names of the tensors in somebody's safetensors file, and what else its header says; no tensor is read.

    label: what it is called in a message.

    Raises:
        ModelError: no such file, or no safetensors.
    """
    from safetensors import safe_open

    if path.suffix != ".safetensors":
        raise ModelError(f"{label} {path} is no .safetensors; others are refused: pickles can run code")
    if not path.is_file():
        raise ModelError(f"{label} {path} is not there; check the name")
    try:
        with safe_open(path, "np") as file:
            return list(file.keys()), dict(file.metadata() or {})
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{label} {path} cannot be read: {reason_of(error, DAMAGED)}") from error


def digest_of(path: Path, label: str) -> str:
    """SHA-256 of a file; ``label`` is what it is called in a message.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{label} {path} cannot be read: {reason_of(error, DAMAGED)}") from error


def misfit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Why tensors are not those of a network, as a phrase; empty where they are."""
    for names, what in ((expected.keys() - found.keys(), "it has no"), (found.keys() - expected.keys(), "it has")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"{what} {min(names)}{more}{', which that has not' if what == 'it has' else ''}"
    for name in sorted(expected):
        shapes = tuple(found[name].shape), tuple(expected[name].shape)
        if shapes[0] != shapes[1]:
            return f"its {name} is {shapes[0]}, and that one's {shapes[1]}"
    return ""
