"""Edits of a picture's semantic code."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from morph.blending.interpolation import lerp, slerp
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.semantic.codes import Codes, codes_of
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.codes import DeltaEdit, DiffusionAutoencoder


def towards(canvas: Canvas, how: DiffusionAutoencoder, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """Diffusion autoencoders; a weaker edit is nearer to the picture than to the reference."""
    model, times, device = canvas.model, canvas.times(), canvas.model.device
    codes, alpha = codes_of(model), torch.tensor(amounts, device=device)
    assert canvas.other is not None  # the edit needs a reference
    first, second = codes.of(canvas.pixels), codes.of(canvas.other)
    with codes.told(model, first):
        start = yield from canvas.inverted(times)
    noise = start.expand(len(amounts), -1, -1, -1)
    if how.noise:
        predict, latents = canvas.guided(canvas.target, 1.0), model.encode(canvas.other.to(device))
        with codes.told(model, second):
            end = yield from canvas.solver.invert(predict, model.schedule, latents, times)
        noise = slerp(start, end, how.noise * alpha)
    texts = canvas.source.lerp(canvas.target, alpha)
    return (yield from _painted(canvas, codes, lerp(first, second, alpha), noise, texts, times))


def moved(canvas: Canvas, how: DeltaEdit, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """DeltaEdit; a weaker edit moves the code less. The texts move the code, and are not told to the denoiser."""
    model, times, device = canvas.model, canvas.times(), canvas.model.device
    codes = codes_of(model)
    before, after = canvas.clip(model.name).texts([canvas.edit.source, canvas.edit.prompt]).to(device)
    own = codes.of(canvas.pixels)
    with codes.told(model, own):
        start = yield from canvas.inverted(times)
    change = codes.mapper(after - before)
    scales = how.scale * torch.tensor(amounts, device=device)
    texts, noise = canvas.source.expand(len(amounts)), start.expand(len(amounts), -1, -1, -1)
    return (yield from _painted(canvas, codes, own + scales[:, None] * change, noise, texts, times))


def _painted(
    canvas: Canvas, codes: Codes, wanted: Tensor, noise: Tensor, texts: Condition, times: Sequence[int]
) -> Generator[Step, None, Tensor]:
    """Pictures (N,3,h,w) of codes (N,D), from noises (N,C,h,w) and under texts (N)."""
    model = canvas.model
    with codes.told(model, wanted):
        latents = yield from canvas.solver.sample(canvas.guided(texts, 1.0), model.schedule, noise, times)
    return model.decode(latents)
