"""Who carries out each way to edit, and the picture that comes of it at full size."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.ddim import Step
from morph.errors import MorphError
from morph.scaling import enlarged, size_of
from morph.steps import drain
from pipelines.between.finishing import End
from pipelines.edit import codes, constraints, directions, fitted, noise, prompts
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.codes import DeltaEdit, DiffusionAutoencoder, Pluralistic, Resample
from pipelines.request.edits.constraints import Anagram, Compose, Hybrid, Ilvr, Inpaint, Restore
from pipelines.request.edits.directions import Direction
from pipelines.request.edits.fitted import Asyrp, DiffusionClip
from pipelines.request.edits.how import How
from pipelines.request.edits.noise import SdEdit, TextDifference, Variation
from pipelines.request.edits.prompts import FlowEdit, Instruct, PlugAndPlay, PromptToPrompt

Editor = Callable[[Canvas, Any, Sequence[float]], Generator[Step, None, Tensor]]
"""(canvas, its options, amounts in (0,1]) to edited pictures (N,3,h,w) in [-1,1]; yields its steps."""
EDITORS: Mapping[type[How], Editor] = {
    SdEdit: noise.noised,
    Variation: noise.varied,
    TextDifference: noise.moved_text,
    Direction: directions.directed,
    DiffusionClip: fitted.tuned,
    Asyrp: fitted.shifted,
    DiffusionAutoencoder: codes.towards,
    DeltaEdit: codes.moved,
    Resample: codes.drawn,
    Pluralistic: codes.answered,
    Inpaint: constraints.repainted,
    Restore: constraints.restored,
    Ilvr: constraints.refined,
    Compose: constraints.put_together,
    Hybrid: constraints.hybrid,
    Anagram: constraints.seen_twice,
    PromptToPrompt: prompts.attended,
    PlugAndPlay: prompts.laid_out,
    FlowEdit: prompts.flowed,
    Instruct: prompts.instructed,
}
CHANGED = 0.15
"""The change of a place, of a range of 2, from which little of the picture's own detail is left there."""
SPREAD = 9
"""Pixels over which a change is looked at."""


def edited(
    canvas: Canvas, pixels: Tensor, mask: Tensor | None, amounts: Sequence[float], tick: Callable[[Step], None]
) -> Iterator[Tensor]:
    """A picture (1,3,H,W) in [-1,1] edited by so much each, at its own size; amount 0 is the picture itself.

    All are painted with the first, and brought to full size one by one.

    mask (1,1,H,W) in [0,1]: where it may change, as on the canvas. ``tick`` is told of every step.

    Raises:
        MorphError: what was made is no picture, or what the model says to the edit.
    """
    how = canvas.edit.how
    wanted = [amount for amount in amounts if amount > 0]
    if not wanted:
        yield from [pixels] * len(amounts)
        return
    made = drain(EDITORS[type(how)](canvas, how, wanted), tick).cpu()
    if not made.isfinite().all():
        raise MorphError(f"edit {how.name} overflowed; try --dtype float32, more steps or less guidance")
    end = End.of(canvas.pixels, canvas.model.decode(canvas.latents).cpu(), pixels) if how.detailed else None
    pictures = iter(made.split(1))
    for amount in amounts:
        yield _finished(next(pictures), pixels, end, mask, how) if amount > 0 else pixels


def _finished(small: Tensor, pixels: Tensor, end: End | None, mask: Tensor | None, how: How) -> Tensor:
    """An edited picture (1,3,h,w) as large as its original (1,3,H,W), whose detail stays where nothing changed."""
    size = size_of(pixels)
    full = enlarged(small, size)
    if end is not None:
        change = (small - end.reconstruction).abs().mean(1, keepdim=True)
        near = torch.nn.functional.avg_pool2d(change, SPREAD, 1, SPREAD // 2, count_include_pad=False)
        same = enlarged(torch.exp(-((near / CHANGED) ** 2)), size).clamp(0, 1)
        full = full + same * end.residual
    full = full.clamp(-1, 1)
    if isinstance(how, Restore):
        full = constraints.held(how, full, pixels, size_of(small))
    return full if mask is None else torch.lerp(pixels, full, mask)
