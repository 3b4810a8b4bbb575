"""Parts of models, as diffusers and transformers build them from a folder: networks and tokenizers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from morph.errors import ModelError
from morph.weights.locate import read_json
from morph.weights.pieces import FILE, SENTINELS, read_pieces
from morph.weights.silence import silence

_DAMAGED = "its files are damaged, or not those of one model; copy the model again"


def load_part(kind: Any, folder: Path, variant: str = "", **types: torch.dtype) -> Any:
    """A part of a model, on the CPU: every tensor that it has comes from its file, and none of the file is left.

    variant: of its file, see :mod:`morph.weights.stored`.

    Raises:
        ModelError: with the file, and the tensor where there is one at fault.
    """
    read_json(folder / "config.json")
    resized = {"ignore_mismatched_sizes": True} if "dtype" in types else {}  # transformers tells of these then
    try:
        with silence():
            part, told = kind.from_pretrained(
                folder,
                variant=variant or None,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **resized,
                **types,
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
    """The tokenizer in a folder; T5's may be a vocabulary of SentencePiece alone.

    Raises:
        ModelError: files are missing or damaged.
    """
    whole = (folder / "tokenizer.json").is_file()
    if not whole and FILE in kind.vocab_files_names.values() and (folder / FILE).is_file():
        return _of_pieces(kind, folder / FILE)
    if not whole:
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


def _of_pieces(kind: Any, file: Path) -> Any:
    """A tokenizer of T5's kind; transformers needs another package to read its vocabulary."""
    pieces = read_pieces(file)
    try:
        with silence():
            return kind(
                vocab=pieces.scored + SENTINELS,
                extra_ids=len(SENTINELS),
                _spm_precompiled_charsmap=pieces.characters or None,
            )
    except Exception as error:  # whatever a damaged file makes of the libraries that use it
        raise ModelError(f"{file} cannot be loaded: {_DAMAGED}") from error
