"""Parts of video models, as diffusers and transformers build them from a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.parts import load_part, load_tokenizer
from morph.weights.silence import silence
from morph.weights.stored import stored

TOKENIZER = "T5TokenizerFast"


def network(kind: Any, folder: Path, **types: torch.dtype) -> Any:
    """The network in a part's folder, by its class; its dtype as that class's library calls it.

    Raises:
        ModelError: its files are damaged.
    """
    weights = stored(folder, WEIGHT_FILES[folder.name])
    return load_part(kind, folder, weights.variant if weights else "", **types)


def tokenizer(folder: Path) -> Any:
    """The tokenizer of T5's kind in a folder.

    Raises:
        ModelError: its files are missing or damaged.
    """
    import transformers

    return load_tokenizer(getattr(transformers, TOKENIZER), folder)


def scheduler(folder: Path) -> Any:
    """The scheduler in a folder, of the class that it names.

    Raises:
        ModelError: its config is damaged.
    """
    import diffusers

    config = read_json(folder / "scheduler_config.json")
    return weightless(lambda: getattr(diffusers, config["_class_name"]).from_config(config), folder)


def weightless(part: Callable[[], Any], folder: Path) -> Any:
    """A part that has no weights.

    Raises:
        ModelError: its config is damaged.
    """
    try:
        with silence():
            return part()
    except Exception as error:  # whatever a damaged config makes of the libraries that read it
        raise ModelError(f"{folder} cannot be loaded: its config is damaged; copy the model again") from error
