"""Edits of a picture's semantic code."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from morph import random
from morph.blending.interpolation import slerp
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.editing.noised import turned
from morph.semantic.attribute import Spread, fused
from morph.semantic.codes import Codes, codes_of
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.codes import (
    Coded,
    DeltaEdit,
    DiffusionAutoencoder,
    Pluralistic,
    Resample,
    levels_of,
)

Edited = Generator[Step, None, Tensor]


def towards(canvas: Canvas, how: DiffusionAutoencoder, amounts: Sequence[float]) -> Edited:
    """Diffusion autoencoders; a weaker edit is nearer to the picture than to the reference."""
    model, times, device = canvas.model, canvas.times(), canvas.model.device
    codes, alpha = codes_of(model), torch.tensor(amounts, device=device)
    assert canvas.other is not None  # the edit needs a reference
    first, second = codes.of(canvas.pixels), codes.of(canvas.other)
    way = _way(codes, how, first, second, amounts)
    start = yield from _inverted(canvas, codes, first, times)
    noise = start.expand(len(amounts), -1, -1, -1)
    if how.noise:
        predict, latents = canvas.guided(canvas.target, 1.0), model.encode(canvas.other.to(device))
        with codes.told(model, second):
            end = yield from canvas.solver.invert(predict, model.schedule, latents, times)
        noise = slerp(start, end, how.noise * alpha)
    texts = canvas.source.lerp(canvas.target, alpha)
    return (yield from _painted(canvas, codes, way, noise, texts, times))


def moved(canvas: Canvas, how: DeltaEdit, amounts: Sequence[float]) -> Edited:
    """DeltaEdit; a weaker edit moves the code less. The texts move the code, and are not told to the denoiser."""
    codes = codes_of(canvas.model)
    before, after = canvas.clip(canvas.model.name).texts([canvas.edit.source, canvas.edit.prompt])
    own = codes.of(canvas.pixels)
    wanted = own + how.scale * codes.mapper((after - before).to(own))
    return (yield from _recoded(canvas, how, own, wanted, amounts))


def drawn(canvas: Canvas, how: Resample, amounts: Sequence[float]) -> Edited:
    """A code drawn near the picture's; a weaker edit is on the way there."""
    codes = codes_of(canvas.model)
    own = codes.of(canvas.pixels)
    wanted = codes.prior.another(own, how.strength, canvas.numbers.seed)
    return (yield from _recoded(canvas, how, own, wanted, amounts, how.fresh))


def answered(canvas: Canvas, how: Pluralistic, amounts: Sequence[float]) -> Edited:
    """One of the answers to a text or a reference, by the seed; a weaker edit is on the way there.

    What the picture is now is said by the source's text, or seen in it.
    """
    codes, clip = codes_of(canvas.model), canvas.clip(canvas.model.name)
    own = codes.of(canvas.pixels)

    def spread(text: str, picture: Tensor) -> Spread:
        if text:
            return codes.attribute.of_texts(clip.texts([text]).to(own))
        return codes.attribute.of_pictures(clip.images(picture).to(own))

    source = spread(canvas.edit.source, canvas.pixels)
    asked = bool(canvas.edit.prompt) or canvas.other is not None
    # with neither a text nor a reference it is another answer to what is there
    target = (
        spread(canvas.edit.prompt, canvas.pixels if canvas.other is None else canvas.other) if asked else source
    )
    noise = random.normal(own.shape, canvas.numbers.seed, "answer").to(own)
    return (yield from _recoded(canvas, how, own, fused(own, source, target, how.fresh, noise), amounts))


def _way(codes: Codes, how: Coded, own: Tensor, wanted: Tensor, amounts: Sequence[float]) -> Tensor:
    """Codes (N,D) so far each on the way from a picture's own (1,D) to what is wanted, in the levels that move."""
    moves = codes.of_levels(levels_of(how.levels))
    return own + torch.tensor(amounts).to(own)[:, None] * moves * (wanted - own)


def _recoded(
    canvas: Canvas, how: Coded, own: Tensor, wanted: Tensor, amounts: Sequence[float], fresh: float = 0.0
) -> Edited:
    """The picture under other codes, from its noise under its own, which is turned to fresh noise."""
    codes, times = codes_of(canvas.model), canvas.times()
    way = _way(codes, how, own, wanted, amounts)  # levels that do not exist are refused before the work
    start = yield from _inverted(canvas, codes, own, times)
    noise = torch.cat([turned(start, canvas.noise("codes"), fresh * amount) for amount in amounts])
    texts = canvas.source.expand(len(amounts))
    return (yield from _painted(canvas, codes, way, noise, texts, times))


def _inverted(canvas: Canvas, codes: Codes, own: Tensor, times: Sequence[int]) -> Edited:
    """The noise (1,C,h,w) that the picture comes back from under its own code."""
    with codes.told(canvas.model, own):
        return (yield from canvas.inverted(times))


def _painted(
    canvas: Canvas, codes: Codes, wanted: Tensor, noise: Tensor, texts: Condition, times: Sequence[int]
) -> Edited:
    """Pictures (N,3,h,w) of codes (N,D), from noises (N,C,h,w) and under texts (N)."""
    model = canvas.model
    with codes.told(model, wanted):
        latents = yield from canvas.solver.sample(canvas.guided(texts, 1.0), model.schedule, noise, times)
    return model.decode(latents)
