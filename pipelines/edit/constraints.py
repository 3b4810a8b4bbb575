"""Edits that hold what is painted to a rule, or put together what several texts say.

All are weaker as SDEdit is: they begin later, from the picture with less noise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.diffusion import ddim
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import composed
from morph.diffusion.prediction import Predictor
from morph.editing import anagram, factorised
from morph.editing.ddnm import restore
from morph.editing.ilvr import refine
from morph.editing.measurement import Grey, Known, Measurement, Pooled
from morph.editing.repaint import in_latents, inpaint
from morph.errors import SettingsError
from morph.scaling import size_of
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.constraints import Anagram, Compose, Hybrid, Ilvr, Inpaint, Restore
from pipelines.request.edits.terms import Box, Term, terms_of

log = logging.getLogger("morph")

MISMATCH = 0.1
"""From here on a view of latents is said to be another picture than the view."""
PUBLISHED_BLUR = 2 / 64
"""The blur of hybrid images, as a share of the shorter side."""

Steps = Generator[Step, None, Tensor]


def repainted(canvas: Canvas, how: Inpaint, amounts: Sequence[float]) -> Steps:
    """RePaint, where the mask says."""
    predict, cells = canvas.guided(canvas.target), in_latents(_mask(canvas), canvas.latents.shape)

    def paint(start: Tensor, times: Sequence[int]) -> Steps:
        return inpaint(
            predict,
            canvas.model.schedule,
            canvas.latents,
            cells,
            start,
            times,
            jump=how.jump,
            repeat=how.repeat,
            seed=canvas.numbers.seed,
        )

    return (yield from _each(canvas, how.strength, amounts, paint))


def restored(canvas: Canvas, how: Restore, amounts: Sequence[float]) -> Steps:
    """DDNM; what is known is measured of the picture, and holds exactly at the model's size."""
    pixels = canvas.pixels.to(canvas.model.device)
    measurement = _measurement(canvas, how)
    wanted, predict = measurement.measured(pixels), canvas.guided(canvas.target)
    painted = []
    for amount in amounts:
        times = canvas.times(how.strength * amount)
        start = _start(canvas, how.strength * amount, times)
        painted.append(
            (
                yield from restore(
                    predict,
                    canvas.model,
                    measurement,
                    wanted,
                    start,
                    times,
                    eta=how.eta,
                    jump=how.jump,
                    repeat=how.repeat,
                    seed=canvas.numbers.seed,
                )
            )
        )
    return torch.cat(painted)


def held(how: Restore, full: Tensor, pixels: Tensor, small: tuple[int, int]) -> Tensor:
    """A restored picture (1,3,H,W) at full size, held to its rule there too: by the original (1,3,H,W).

    ``small`` is the size at which it was painted. Squares are held where the full size is a whole multiple of it.
    """
    (width, height), (small_width, small_height) = size_of(full), small
    if how.task == "colourise":
        measurement: Measurement = Grey()
    elif how.task == "upscale" and width % small_width == 0 and width * small_height == height * small_width:
        measurement = Pooled(how.square * width // small_width)
    else:
        return full
    return measurement.held(full, measurement.measured(pixels))


def refined(canvas: Canvas, how: Ilvr, amounts: Sequence[float]) -> Steps:
    """ILVR; a weaker one is held to less of the reference, where there is one."""
    predict, latents = canvas.guided(canvas.target), canvas.latents
    reference = latents if canvas.other is None else canvas.model.encode(canvas.other.to(canvas.model.device))
    painted = []
    for amount in amounts:
        times = canvas.times(how.strength * amount)
        painted.append(
            (
                yield from refine(
                    predict,
                    canvas.model.schedule,
                    torch.lerp(latents, reference, amount),
                    _start(canvas, how.strength * amount, times),
                    times,
                    width=how.width / canvas.model.geometry.factor,
                    free=how.free,
                    seed=canvas.numbers.seed,
                )
            )
        )
    return canvas.model.decode(torch.cat(painted))


def hybrid(canvas: Canvas, how: Hybrid, amounts: Sequence[float]) -> Steps:
    """Factorised diffusion, of two texts or of a text and a picture."""
    model, first = canvas.model, _first_part(canvas, how)
    of_prompt = canvas.guided(canvas.target)
    if how.keep == "none":
        of_second = canvas.guided(model.embed([how.second]))
        predict = factorised.hybrid(of_prompt, of_second, model, first)
    else:
        given = canvas.pixels if canvas.other is None else canvas.other
        part = first if how.keep == "first" else lambda pixels: pixels - first(pixels)
        predict = factorised.with_part(of_prompt, model, part, given.to(model.device))
    return (yield from _sampled(canvas, how.strength, amounts, predict))


def seen_twice(canvas: Canvas, how: Anagram, amounts: Sequence[float]) -> Steps:
    """Visual anagrams; how far the autoencoder is from turning with the view is said."""
    view, latents = _view(canvas, how), canvas.latents
    if (mismatch := anagram.mismatch(canvas.model, latents, view)) > MISMATCH:
        log.warning(
            "the view %s of model %s's latents decodes to another picture than the view of the picture: by %.0f %% "
            "of its contrast, which shows as artefacts",
            how.view,
            canvas.model.name,
            100 * mismatch,
        )
    second = canvas.model.embed([how.second]) if how.second else canvas.target
    predictors = [canvas.guided(text) for text in (canvas.target, second)]
    predict = anagram.anagram(predictors, [anagram.AS_IS, view])
    return (yield from _sampled(canvas, how.strength, amounts, predict))


def put_together(canvas: Canvas, how: Compose, amounts: Sequence[float]) -> Steps:
    """Compositions of texts, each with its place."""
    terms = [Term(canvas.edit.prompt), *terms_of(how.terms)]
    texts = canvas.model.embed([term.text for term in terms])
    predict = composed(
        canvas.model.conditional(),
        canvas.negative,
        texts.split(1),
        [term.weight * canvas.numbers.guidance for term in terms],
        [_place(canvas, term.place) for term in terms],
    )
    return (yield from _sampled(canvas, how.strength, amounts, predict))


def _start(canvas: Canvas, strength: float, times: Sequence[int]) -> Tensor:
    """The picture noised to the first time; noise alone with the whole strength."""
    noise = canvas.noise(canvas.edit.how.name)
    return noise if strength >= 1 else canvas.model.schedule.noise(canvas.latents, noise, times[0])


def _each(
    canvas: Canvas, strength: float, amounts: Sequence[float], paint: Callable[[Tensor, Sequence[int]], Steps]
) -> Steps:
    """What is painted for each amount, decoded."""
    painted = []
    for amount in amounts:
        times = canvas.times(strength * amount)
        painted.append((yield from paint(_start(canvas, strength * amount, times), times)))
    return canvas.model.decode(torch.cat(painted))


def _sampled(canvas: Canvas, strength: float, amounts: Sequence[float], predict: Predictor) -> Steps:
    schedule = canvas.model.schedule
    return (
        yield from _each(
            canvas, strength, amounts, lambda start, times: ddim.sample(predict, schedule, start, times)
        )
    )


def _mask(canvas: Canvas) -> Tensor:
    assert canvas.mask is not None  # the edit needs it
    return canvas.mask.to(canvas.model.device)


def _measurement(canvas: Canvas, how: Restore) -> Measurement:
    if how.task == "colourise":
        return Grey()
    return Pooled(how.square) if how.task == "upscale" else Known(_mask(canvas))


def _first_part(canvas: Canvas, how: Hybrid) -> factorised.Part:
    if how.parts == "brightness":
        return factorised.grey
    return factorised.coarse(how.sigma or PUBLISHED_BLUR * min(size_of(canvas.pixels)))


def _view(canvas: Canvas, how: Anagram) -> anagram.View:
    if how.view != "tiles":
        views = {"upside-down": anagram.UPSIDE_DOWN, "mirrored": anagram.MIRRORED}
        turns = {"quarter": 1, "half": 2}
        return views[how.view] if how.view in views else anagram.turned(turns[how.view])
    height, width = canvas.latents.shape[-2:]
    if height % how.tiles or width % how.tiles:
        raise SettingsError(f"tiles is {how.tiles}; latents here are {width}x{height}: choose what divides both")
    return anagram.shuffled(how.tiles, canvas.numbers.seed)


def _place(canvas: Canvas, place: Box | str | None) -> Tensor | None:
    """The mask (1,1,h,w) of a term, in latents."""
    if place is None:
        return None
    width, height = size_of(canvas.pixels)
    if isinstance(place, str):
        assert canvas.other is not None  # the edit needs it
        mask = (canvas.other.mean(1, keepdim=True) + 1) / 2
    else:
        left, top, right, bottom = place
        mask = torch.zeros(1, 1, height, width)
        mask[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
    rows, columns = canvas.latents.shape[-2:]
    return F.adaptive_avg_pool2d(mask, (rows, columns)).to(canvas.model.device)
