"""Parts of video models, as diffusers and transformers build them from a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from morph.diffusion.spacing import config_number
from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.parts import load_part, load_tokenizer
from morph.weights.silence import silence
from morph.weights.stored import stored

TOKENIZER = "T5TokenizerFast"
DECISIVE = (
    *("num_train_timesteps", "shift", "flow_shift", "use_dynamic_shifting", "use_flow_sigmas", "shift_terminal"),
    *("prediction_type", "solver_order", "solver_type", "predict_x0", "lower_order_final", "timestep_spacing"),
    *("final_sigmas_type", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "stochastic_sampling"),
)
"""What of a scheduler changes frames, whether its file states it or leaves it to be as the library has it."""


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
    for name, usual, low, high in (("num_train_timesteps", 1000, 2, 100_000), ("solver_order", 2, 1, 10)):
        config_number(config, name, usual, low, high)  # the library makes a list of as many
    return weightless(lambda: getattr(diffusers, config["_class_name"]).from_config(config), folder)


def schedule(scheduler: Any, folder: Path) -> str:
    """What decides the noise of a model: all that the file in its scheduler's folder says, and ``DECISIVE``.

    The library fills in more, which another version of it may call otherwise.
    """
    stated = read_json(folder / "scheduler_config.json").keys() - {"_diffusers_version"}
    config = scheduler.config
    decisive = {key: config[key] for key in sorted(stated | set(DECISIVE)) if key in config}
    return json.dumps(decisive, sort_keys=True, default=str)


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
