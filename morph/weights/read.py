"""Weights from a file: safetensors, or the one pickle that somebody published in no other form."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from morph.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


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
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"{path} cannot be read as weights: {reason}") from error
    return weights
