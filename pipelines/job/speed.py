"""How fast this machine is, as measured by renders, so that a plan can say how long it will take."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from morph.diffusion.offload import Offload
from morph.media.stills import atomic_path
from pipelines.job.job import Job
from pipelines.request.clip import Clip
from pipelines.request.ways import needs_model

if TYPE_CHECKING:
    from pipelines.tasks.models import Models

STEPS = 4
"""Predictions that a calibration measures, after one that warms up."""


def _file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "morph" / "speed.json"


def _read() -> dict[str, float]:
    try:
        content = json.loads(_file().read_text())
        return {key: float(value) for key, value in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}


def _key(machine: str, size: tuple[int, int]) -> str:
    return f"{machine} at {size[0]}x{size[1]}"


def remember(machine: str, size: tuple[int, int], seconds: float) -> None:
    """Keep the seconds that a U-Net forward equivalent took in a render; a cache that cannot be written is none."""
    seconds_by_key = _read()
    key = _key(machine, size)
    seconds_by_key[key] = seconds if key not in seconds_by_key else (seconds_by_key[key] + seconds) / 2
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(_file()) as partial:
            partial.write_text(json.dumps(seconds_by_key, indent=2))
    except OSError:
        return


def seconds_per_forward(machine: str, size: tuple[int, int]) -> float | None:
    """What a U-Net forward equivalent takes here, all that goes with it included; None if never measured.

    At a size that was not measured it is taken to grow with the number of pixels from the nearest that was.
    """
    seconds_by_key = _read()
    if exact := seconds_by_key.get(_key(machine, size)):
        return exact
    pixels = size[0] * size[1]
    measured = {}
    for key, seconds in seconds_by_key.items():
        name, _, size_text = key.rpartition(" at ")
        width, _, height = size_text.partition("x")
        if name == machine and width.isdigit() and height.isdigit():
            measured[int(width) * int(height)] = seconds
    if not measured:
        return None
    nearest = min(measured, key=lambda area: abs(area - pixels))
    return measured[nearest] * pixels / nearest


def calibrate(models: Models, size: tuple[int, int], batch: int) -> float:
    """Measure a few predictions of ``batch`` frames of this size, decoding left out; seconds for each frame's."""
    import torch

    model = models.model
    side = [length // model.geometry.factor for length in reversed(size)]
    latents = torch.zeros(batch, model.denoiser.channels, *side, device=model.device)
    condition = model.embed([""] * batch)
    with torch.no_grad():
        for count in (1, STEPS):
            started = time.monotonic()
            for _ in range(count):
                model.predict(latents, 1, condition).clean.sum().item()  # waits for the device
    return (time.monotonic() - started) / STEPS / batch


def machine_of(clip: Clip, device: str, dtype: str, offload: Offload = "none") -> str:
    """Whose speed is kept: that of a clip's model where it computes, as was asked for."""
    waiting = "" if offload == "none" else f", offload {offload}"
    return f"{clip.model} on {device} in {dtype}{waiting}"


def seconds_of(
    job: Job, device: str, dtype: str, models: Models | None = None, offload: Offload = "none"
) -> float | None:
    """How long a job will take, by past renders, or by a few steps of ``models``.

    None where this machine was never measured, or where no model is needed.
    """
    clip, size = job.clip, job.plan.sizes.model
    if not needs_model(clip):
        return None
    per_forward = (
        calibrate(models, size, clip.settings.batch)
        if models
        else seconds_per_forward(machine_of(clip, device, dtype, offload), size)
    )
    return None if per_forward is None else per_forward * sum(job.plan.forwards.values())
