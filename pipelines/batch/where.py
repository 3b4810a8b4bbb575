"""Where a batch computes, and the models that a process holds for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.request.clip import Clip
from pipelines.request.lora_file import LoraFile
from pipelines.request.plan import Plan
from pipelines.request.token_file import TokenFile
from pipelines.request.ways import needs_model

if TYPE_CHECKING:
    from morph.diffusion.offload import Offload
    from pipelines.tasks.models import Models
    from pipelines.tasks.task import Runner


@dataclass(frozen=True)
class Where:
    """Where a batch computes: as for one clip, and on a cluster each task's share of a machine's GPUs and cores.

    change: go on with broken-off clips under other settings. overwrite: replace finished work of something else.
    ``gpus`` None is one where the cluster has any and the device is not the CPU.
    """

    device: str = "auto"
    dtype: str = "auto"
    offload: Offload = "none"
    change: bool = False
    gpus: float | None = None
    cpus: float = 1.0
    overwrite: bool = False


RunnerOf = Callable[[Plan, Path, Where], "Runner"]
"""Who runs the tasks of a planned clip whose job is in a folder."""


Stamps = tuple[tuple[int, int], ...]
"""What changes when files are written again: the bytes of each, and when they were."""
Needs = tuple[str | None, str | None, tuple[LoraFile, ...], tuple[TokenFile, ...], Stamps]


def needs(clip: Clip) -> Needs:
    """The model that a clip needs, if it needs one, its ControlNet, LoRAs and tokens, and these files' stamps."""
    if not needs_model(clip):
        return None, None, (), (), ()
    files = [*(entry.file for entry in clip.lora_files), *(token.file for token in clip.tokens)]
    stats = [file.stat() for file in files if file.is_file()]
    stamps = tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
    return clip.model, clip.controlnet, clip.loras, clip.tokens, stamps


@functools.lru_cache(maxsize=1)
def loaded(
    model: str | None,
    controlnet: str | None,
    loras: tuple[LoraFile, ...],
    tokens: tuple[TokenFile, ...],
    stamps: Stamps,
    device: str,
    dtype: str,
    offload: Offload = "none",
) -> Models:
    """The models of a process, the last that it was asked for, of files as they were then."""
    from pipelines.tasks.models import Models

    if model is None:
        return Models.without_model()
    return Models.from_pretrained(
        model, controlnet=controlnet, loras=loras, tokens=tokens, device=device, dtype=dtype, offload=offload
    )
