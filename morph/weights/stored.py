"""How a network's weights are stored in a model's folder: in one file or in shards, whole or rounded; no torch."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from morph.errors import ModelError, reason_of
from morph.weights.locate import read_json
from morph.weights.names import SUFFIX, VARIANTS, spelled

LARGE = 2 * 10**9
"""Parameters of a network, such as T5's encoder, of which float32 would take much memory for nothing."""
_HALVES = {"F16": "float16", "BF16": "bfloat16"}
_DAMAGED = "it is damaged, or something else under this name; copy it again"
_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""


@dataclass(frozen=True)
class Stored:
    """A network's weights. variant: one of ``VARIANTS``. files: one, or all its shards."""

    variant: str
    files: tuple[Path, ...]

    @cached_property
    def tensors(self) -> dict[str, tuple[str, int]]:
        """The kind of each tensor, such as F32 or BF16, and how many numbers it has, as the files' headers say.

        Raises:
            ModelError: a file that is damaged.
        """
        return {name: said for file in self.files for name, said in _tensors(file).items()}

    @property
    def parameters(self) -> int:
        """How many numbers there are in all."""
        return sum(count for _, count in self.tensors.values())

    def largest_block(self, deepest: int) -> int:
        """Numbers of the largest block, as "a.blocks.7" in "a.blocks.7.attn.weight", and of all that is in none.

        deepest: how many names a block's number may come behind.
        """
        counts: Counter[str] = Counter()
        for name, (_, count) in self.tensors.items():
            names = name.split(".")
            number = next((place for place, part in enumerate(names[: deepest + 1]) if part.isdigit()), -1)
            counts[".".join(names[: number + 1])] += count
        outside = counts.pop("", 0)
        return outside + max(counts.values(), default=0)

    @property
    def kept(self) -> str:
        """The dtype that they are loaded in: float32, or where they are ``LARGE`` and all in 16 bits, these."""
        kinds = {kind for kind, _ in self.tensors.values()}
        half = _HALVES.get(kinds.pop()) if len(kinds) == 1 else None
        return half if half and self.parameters >= LARGE else "float32"


def stored(folder: Path, file: str) -> Stored | None:
    """The weights in ``folder`` that are called ``file`` where they are whole and in one file; None without any.

    Raises:
        ModelError: a list of shards that is damaged, or names one that is not there.
    """
    for variant in VARIANTS:
        single, index, *_ = (folder / name for name in spelled(file, variant))
        if single.is_file():
            return Stored(variant, (single,))
        if index.is_file():
            return Stored(variant, _shards(index))
    return None


def _tensors(file: Path) -> dict[str, tuple[str, int]]:
    """Kinds and sizes of the tensors in one file: its header is JSON behind eight bytes that say how long it is."""
    tensors = {}
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length)) if length <= _LONGEST_HEADER else {}
        for name, tensor in header.items():
            if name != "__metadata__":
                tensors[name] = str(tensor["dtype"]), math.prod(map(int, tensor["shape"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelError(f"{file} cannot be read as weights: {reason_of(error, _DAMAGED)}") from error
    if not tensors:
        raise ModelError(f"{file} cannot be read as weights: {_DAMAGED}")
    return tensors


def _shards(index: Path) -> tuple[Path, ...]:
    """The files that a list of shards names; they lie beside it."""
    listed = read_json(index).get("weight_map")
    names = set(listed.values()) if isinstance(listed, dict) and all(map(_is_name, listed.values())) else set()
    if not names:
        raise ModelError(f"{index}: does not say which tensor is in which file; copy the model again")
    files = tuple(index.with_name(name) for name in sorted(names))
    if missing := next((file for file in files if not file.is_file()), None):
        raise ModelError(f"{missing} is missing, which {index.name} names; copy the model again")
    return files


def _is_name(value: object) -> bool:
    """Whether it is the name of safetensors in the same folder."""
    return isinstance(value, str) and value.endswith(SUFFIX) and Path(value).name == value and "\0" not in value
