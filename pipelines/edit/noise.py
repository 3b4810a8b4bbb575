"""Edits that noise a picture and paint it anew."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.editing.noised import sdedit, turned
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.noise import SdEdit, TextDifference, Variation


def noised(canvas: Canvas, how: SdEdit, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """SDEdit; a weaker edit begins later. One noise for all."""
    model, noise = canvas.model, canvas.noise("sdedit")
    painted = []
    for amount in amounts:
        times = canvas.times(how.strength * amount)
        latents = yield from sdedit(canvas.guided(canvas.target), model.schedule, canvas.latents, noise, times)
        painted.append(latents)
    return model.decode(torch.cat(painted))


def varied(canvas: Canvas, how: Variation, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """Variations; a weaker one has less fresh noise. With a prompt they are painted under that."""
    model, times = canvas.model, canvas.times(how.strength)
    noise, fresh = (yield from canvas.inverted(times)), canvas.noise("variation")
    target = canvas.target if canvas.edit.prompt else canvas.source
    start = torch.cat([turned(noise, fresh, how.fresh * amount) for amount in amounts])
    predict = canvas.guided(target.expand(len(amounts)))
    latents = yield from canvas.solver.sample(predict, model.schedule, start, times)
    return model.decode(latents)


def moved_text(canvas: Canvas, how: TextDifference, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """Text differences; a weaker one has a smaller scale."""
    model, times = canvas.model, canvas.times()
    noise = yield from canvas.inverted(times)
    scales = torch.tensor([how.scale * amount for amount in amounts])
    texts = Condition.cat([canvas.source.lerp(canvas.target, scale[None]) for scale in scales])
    start = noise.expand(len(amounts), -1, -1, -1)
    latents = yield from canvas.solver.sample(canvas.guided(texts), model.schedule, start, times)
    return model.decode(latents)
