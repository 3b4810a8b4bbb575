"""Where a model has its semantic codes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from morph.errors import ModelError, reason_of
from morph.weights.locate import locate

PART = "semantic"
"""The folder of a model's codes."""
CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""Its files."""


def weights_of(name: str) -> Path:
    """The file of the semantic codes of a model, which lies in its folder.

    Raises:
        ModelError: it has none.
    """
    file = locate(name, fetch=False)[0] / PART / WEIGHTS
    if not file.is_file():
        raise ModelError(
            f"model {name} has no semantic codes, and the embedded model has: take that one, or train codes with "
            "python -m morph.embedded.train semantic --base FOLDER --data DATA --out OUT, and name what this "
            "writes: --model OUT/model"
        )
    return file


def hash_of_codes(file: Path) -> str:
    """By which codes are told from those that were trained anew, of the file of :func:`weights_of`.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {reason_of(error, 'it is damaged')}") from error


def has_codes(name: str) -> bool:
    """Whether a model has semantic codes, as far as its folder tells."""
    try:
        return weights_of(name).is_file()
    except ModelError:
        return False
