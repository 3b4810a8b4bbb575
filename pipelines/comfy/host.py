"""What nodes need of ComfyUI: its device, memory, folders and progress, and whether a person has said stop.

Its modules are there only in its own process, so they are imported where they are used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pipelines.tasks.progress import Look, Tally

EVERY = 1.0
"""Seconds between previews: one costs about as much as a step of the embedded model."""
PREVIEW = 512
"""Pixels of its longer side, at most."""


class Progress:
    """A callback that moves a node's bar and shows previews; raises ComfyUI's own exception when it is to stop.

    ``planned`` is what stages are planned to take, as :class:`pipelines.job.pipeline.Morph` has it.
    """

    def __init__(self) -> None:
        from comfy.utils import ProgressBar  # that of comfy_api's ComfyAPISync has no execution in some versions

        self._bar = ProgressBar(1)
        self._tally = Tally({})
        self._shown = 0.0

    @property
    def planned(self) -> Mapping[str, int]:
        """Of what every stage is planned to take."""
        return self._tally.planned

    @planned.setter
    def planned(self, planned: Mapping[str, int]) -> None:
        self._tally = Tally(planned)

    def __call__(self, stage: str, step: int, of: int, preview: Look | None = None) -> None:
        """Show how far a stage has come, and now and then what it makes."""
        stop_if_asked()
        done, total = self._tally.told(stage, step, of)
        look = None
        if preview and time.monotonic() - self._shown >= EVERY:
            self._shown, look = time.monotonic(), ("JPEG", preview().convert("RGB"), PREVIEW)
        self._bar.update_absolute(done, max(1, total), look)


def stop_if_asked() -> None:
    """End the node, as ComfyUI does, if a person has asked for it."""
    from comfy.model_management import throw_exception_if_processing_interrupted

    throw_exception_if_processing_interrupted()


@contextmanager
def computing() -> Iterator[Progress]:
    """What a node works in, unless it is to stop: with gradients to be had, which ComfyUI's inference mode has not.

    LoRAs and fields are fitted by them, and tensors that are made in that mode never have any.
    """
    stop_if_asked()
    with torch.inference_mode(False):
        yield Progress()


def device(name: str) -> str:
    """The device of a name; "auto" is that of ComfyUI."""
    if name != "auto":
        return name
    from comfy.model_management import get_torch_device

    return str(get_torch_device())


def make_room(where: torch.device) -> None:
    """Have ComfyUI's own models leave the GPU, before one that it knows nothing of computes there."""
    if where.type == "cpu":
        return
    from comfy.model_management import soft_empty_cache, unload_all_models

    unload_all_models()
    soft_empty_cache()


def model_place(name: str) -> str:
    """The folder of a model's name in ComfyUI's models/diffusers; else the name, of a folder or a hub id."""
    from folder_paths import get_folder_paths

    places = (Path(folder) / name for folder in get_folder_paths("diffusers"))
    return next((str(place) for place in places if name.strip() and place.is_dir()), name)


def lora_place(name: str) -> str:
    """The file of a LoRA's name in ComfyUI's models/loras; else the name, of a file."""
    from folder_paths import get_full_path

    return str(get_full_path("loras", name) or name)


def output_place(prefix: str, size: tuple[int, int]) -> tuple[Path, str, str]:
    """A folder below ComfyUI's output folder, a name in it that is free, and the folder as ComfyUI shows it.

    prefix: as in its own nodes that save; %width%, %date% and the like are filled in. size: (width, height).
    """
    from folder_paths import get_output_directory, get_save_image_path

    folder, name, counter, shown, _ = get_save_image_path(prefix, get_output_directory(), *size)
    return Path(folder), f"{name}_{counter:05}_", shown


def recipe(prompt: Any) -> dict[str, Any]:
    """What a file says of how it was made: ComfyUI's graph, unless it was started without metadata."""
    from comfy.cli_args import args

    return {} if args.disable_metadata or not prompt else {"comfyui": prompt}
