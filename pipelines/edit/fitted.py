"""Edits for which something is fitted to the picture."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from morph.diffusion import ddim, lora
from morph.diffusion.ddim import Step
from morph.diffusion.hspace import Shift, middle_block
from morph.editing import asyrp, diffusionclip
from morph.editing.directional import Directional
from morph.editing.fitting import Tried, check_can_fit
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.fitted import Asyrp, DiffusionClip

_Fitted = TypeVar("_Fitted")


def tuned(canvas: Canvas, how: DiffusionClip, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """DiffusionCLIP; a weaker edit has less of the LoRA."""
    model, count = canvas.model, len(amounts)
    check_can_fit(model)
    times = canvas.times(how.strength)
    steps = len(times) - 1
    painted = min(how.painted, steps)
    few = [times[round(step * steps / painted)] for step in range(painted + 1)]
    directional = _directional(canvas, how.clip)
    inverted = yield from canvas.inverted(times)
    fitted = yield from _steps(
        diffusionclip.fit(
            model,
            directional,
            canvas.pixels,
            canvas.latents,
            inverted,
            canvas.source,
            few,
            canvas.numbers.seed,
            steps=how.fit,
            rank=how.rank,
            learning_rate=how.learning_rate,
            directional_weight=how.direction,
            identity_weight=how.identity,
            variants=how.variants,
        )
    )
    weights = torch.tensor(amounts, device=model.device)[:, None]
    predict = canvas.guided(canvas.source.expand(count), 1.0)
    with lora.applied(model, [fitted], weights):
        latents = yield from canvas.solver.sample(
            predict, model.schedule, inverted.expand(count, -1, -1, -1), times
        )
    return model.decode(latents)


def shifted(canvas: Canvas, how: Asyrp, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """Asyrp; a weaker edit has a smaller shift of h."""
    model, count = canvas.model, len(amounts)
    middle_block(model)  # before the work, as what the fit needs
    if how.rounds:
        check_can_fit(model)
    directional = _directional(canvas, how.clip) if how.rounds else None
    times = canvas.times()
    inverted = yield from canvas.inverted(times)
    until = round(how.until * model.schedule.length)
    if not how.until:
        until = yield from _recognised(canvas, inverted, times)
    shifts = yield from _shifts(canvas, how, directional, inverted, times, until)
    scaled = asyrp.scaled(shifts, how.scale * torch.tensor(amounts))
    predict = asyrp.asymmetric(canvas.guided(canvas.source.expand(count), 1.0), model, scaled)
    boosted = round(how.boosted * model.schedule.length)
    start, seed = inverted.expand(count, -1, -1, -1), canvas.numbers.seed
    latents = yield from asyrp.sample(predict, model.schedule, start, times, boosted, seed)
    return model.decode(latents)


def _shifts(
    canvas: Canvas,
    how: Asyrp,
    directional: Directional | None,
    inverted: Tensor,
    times: Sequence[int],
    until: int,
) -> Generator[Step, None, Mapping[int, Shift]]:
    """What h is shifted by at each time, fitted or as the texts move it."""
    model = canvas.model
    if directional is None:
        return (yield from asyrp.between_texts(model, inverted, canvas.source, canvas.target, times, until))
    return (
        yield from _steps(
            asyrp.fit(
                model,
                directional,
                canvas.pixels,
                inverted,
                canvas.source,
                times,
                until,
                canvas.numbers.seed,
                rounds=how.rounds,
                learning_rate=how.learning_rate,
                directional_weight=how.direction,
                identity_weight=how.identity,
            )
        )
    )


def _recognised(canvas: Canvas, inverted: Tensor, times: Sequence[int]) -> Generator[Step, None, int]:
    """The time at which the picture is recognised in what the model believes of it."""
    model = canvas.model
    believed: list[tuple[int, Tensor]] = []
    sampling = ddim.sample(canvas.guided(canvas.source, 1.0), model.schedule, inverted, times)
    for t, step in zip(times, sampling, strict=False):
        believed.append((t, step.clean))
        yield step
    return asyrp.recognised_at(model, canvas.perception, canvas.pixels, believed)


def _directional(canvas: Canvas, name: str) -> Directional:
    clip = canvas.clip(name).to(canvas.model.device)
    return Directional.of(clip, canvas.pixels, canvas.edit.source, canvas.edit.prompt)


def _steps(fit: Generator[Tried, None, _Fitted]) -> Generator[Step, None, _Fitted]:
    """A fit whose steps are told as a sampler's are."""
    while True:
        try:
            tried = next(fit)
        except StopIteration as stop:
            return stop.value
        yield tried.step
