"""How a network's weights are stored in a model's folder: in one file or in shards, whole or rounded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import ModelError
from morph.weights.locate import read_json
from morph.weights.names import SUFFIX, VARIANTS, spelled


@dataclass(frozen=True)
class Stored:
    """A network's weights. variant: one of ``VARIANTS``. files: one, or all its shards."""

    variant: str
    files: tuple[Path, ...]


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
