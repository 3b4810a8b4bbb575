"""Files of textual inversions, as far as they can be looked at without torch."""

from __future__ import annotations

from pathlib import Path

from morph.errors import ModelError
from morph.weights.read import read_header

TOWERS = ("clip_l", "clip_g")
"""What a file calls the vectors of each text encoder, where there are several."""
UNNAMED = "emb_params"
"""What the files of AUTOMATIC1111's web UI call their only vectors; the word is the name of the file."""
LARGEST = 16 * 1024**2
"""Bytes of a file that is read: 75 vectors, the most that a prompt has room for, take less than 2 MiB."""


def own_word(path: Path) -> str:
    """What the word of a textual inversion's file is called: as the file has it, or as the file is called.

    No tensor is read.

    Raises:
        ModelError: no such file, no safetensors, or something else in it.
    """
    keys, _ = read_header(path, "token")
    if path.stat().st_size > LARGEST:
        raise ModelError(f"token {path} is larger than {LARGEST // 1024**2} MiB, as no word is: name another file")
    if set(keys) != set(TOWERS) and len(keys) != 1:
        raise ModelError(f"token {path} holds {len(keys)} tensors; one is read, or {' and '.join(TOWERS)}")
    return path.stem if keys[0] in (*TOWERS, UNNAMED) else keys[0]
