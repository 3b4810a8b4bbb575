"""A morph as ComfyUI takes it: all frames in one batch, and their mattes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from torch import Tensor

from pipelines.comfy.keyframes import Keyframes
from pipelines.comfy.pictures import image_of, mask_of
from pipelines.comfy.widgets import points_in
from pipelines.job.pipeline import MorphPipeline
from pipelines.tasks.progress import Callback


class Planned(Callback, Protocol):
    """A callback that is told what is planned, once that is known."""

    planned: Mapping[str, int]


def render(
    pipeline: MorphPipeline,
    keyframes: Keyframes,
    preset: str,
    settings: Mapping[str, Any],
    points: str,
    callback: Planned,
) -> tuple[Tensor, Tensor]:
    """The frames of a morph, IMAGE float32 (B,H,W,3) in [0,1] in straight colour, and MASK (B,H,W).

    A mask is 1 where a frame is transparent; all are 0 where not all keyframes have masks. points: places that are
    the same in two images, as text. callback: is told every step; what it raises ends the morph, and nothing of it
    is left.

    Raises:
        InputError: keyframes, settings or points that cannot be used.
    """
    with TemporaryDirectory(prefix="morph-") as folder:
        given = dict(settings)
        if points_in(points):
            file = Path(folder) / "points.txt"
            file.write_text(points, encoding="utf-8")
            given["align.points"] = str(file)
        morph = pipeline(
            list(keyframes.pictures),
            list(keyframes.prompts),
            preset=preset,
            times=keyframes.given_times,
            callback=callback,
            **given,
        )
        with closing(morph):
            width, height = morph.plan.sizes.frame
            count = morph.plan.timing.length
            callback.planned = morph.plan.forwards
            images, masks = torch.empty(count, height, width, 3), torch.zeros(count, height, width)
            for frame in morph:
                images[frame.index] = image_of(frame.colour)
                if frame.matte is not None:
                    masks[frame.index] = mask_of(frame.matte)
                if not callback.planned:  # no stage has a measure: frames are one
                    callback("frames", frame.index + 1, count, lambda frame=frame: frame.image)  # type: ignore[misc]
    return images, masks
