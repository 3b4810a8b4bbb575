"""FlowEdit: from a picture straight to the edited one, along the difference of two flows; nothing is inverted.

Kulikov et al., "FlowEdit: Inversion-Free Text-Based Editing Using Pre-Trained Flow Models", 2024, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from morph import random
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import guided
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction, Predictor
from morph.diffusion.schedule import CLEAN, Flow, Schedule


@dataclass(frozen=True)
class Texts:
    """What is guided by: the texts of the picture as it is and as it is wanted, one each, and what leads away.

    The scales are theirs: as published 3.5 and 13.5 for Stable Diffusion 3, 1.5 and 5.5 for FLUX.1.
    """

    source: Condition
    target: Condition
    negative: Condition
    source_guidance: float
    target_guidance: float


@torch.no_grad()
def edit(
    model: LatentDiffusion,
    latents: Tensor,
    texts: Texts,
    times: Sequence[int],
    amounts: Sequence[float],
    *,
    last: int = 0,
    noises: int = 1,
    seed: int = 0,
) -> Generator[Step, None, Tensor]:
    """Latents (1,C,h,w) of a picture to N edited ones (N,C,h,w), which differ by ``amounts``.

    ``times`` begin where the edit does (the published n_max of all steps are left) and go down to ``CLEAN``. In
    each step the difference is the mean over so many ``noises``; the ``last`` steps are ordinary ones, to the
    target alone (n_min). An amount is how much of what the target's text does otherwise than the source's is done;
    0 is the picture. Weaker ones take one prediction more, of the same latents under the source's text.

    Of a diffusion the flow is that of latents over alpha, along sigma over alpha, whose velocity is the noise.
    """
    schedule, count = model.schedule, len(amounts)
    share = torch.tensor(amounts).reshape(-1, 1, 1, 1).to(latents)
    made = latents.expand(count, -1, -1, -1)
    weaker = any(amount != 1 for amount in amounts)
    of_source = _any_number(model, texts.source, texts.negative, texts.source_guidance)
    of_target = guided(model.conditional(), texts.target.expand(count), texts.negative, texts.target_guidance)
    steps = list(pairwise(times))
    first = max(0, len(steps) - last)
    for number, (t, t_next) in enumerate(steps[:first]):
        difference, clean = torch.zeros_like(made), made
        for draw in range(noises):
            noise = random.normal(latents.shape[1:], seed, "flowedit", number * noises + draw).to(latents)
            noisy = schedule.noise(latents, noise, t)
            moved = noisy + _offset(schedule, made - latents, t)
            target = of_target(moved, t)
            velocity = _velocity(schedule, target)
            if weaker:
                velocity = torch.lerp(_velocity(schedule, of_source(moved, t)), velocity, share)
            difference = difference + (velocity - _velocity(schedule, of_source(noisy, t)))
            clean = target.clean
        made = made + (_time(schedule, t_next) - _time(schedule, t)) * difference / noises
        yield Step(t_next, made, clean)
    if last:
        made = yield from _finished(of_target, schedule, made, latents, steps[first:], seed, share)
    return made


def _any_number(model: LatentDiffusion, text: Condition, negative: Condition, guidance: float) -> Predictor:
    """A guided prediction under one text of as many latents as are shown."""
    return lambda latents, t: guided(model.conditional(), text.expand(len(latents)), negative, guidance)(latents, t)


def _finished(
    predict: Predictor,
    schedule: Schedule,
    made: Tensor,
    latents: Tensor,
    steps: Sequence[tuple[int, int]],
    seed: int,
    share: Tensor,
) -> Generator[Step, None, Tensor]:
    """Noised once more to where the last steps begin, and sampled from there; as much of it as the amount says."""
    start = steps[0][0]
    noise = random.normal(latents.shape[1:], seed, "flowedit: last").to(latents)
    sampled = schedule.noise(latents, noise, start) + _offset(schedule, made - latents, start)
    for t, t_next in steps:
        believed = predict(sampled, t)
        sampled = schedule.noise(*believed, t_next)
        yield Step(t_next, sampled, believed.clean)
    return torch.lerp(made, sampled, share)


def _offset(schedule: Schedule, change: Tensor, t: int) -> Tensor:
    """How far a change of clean latents moves noisy ones."""
    return change if isinstance(schedule, Flow) else float(schedule.level(t)[0]) * change


def _velocity(schedule: Schedule, believed: Prediction) -> Tensor:
    return believed.noise - believed.clean if isinstance(schedule, Flow) else believed.noise


def _time(schedule: Schedule, t: int) -> float:
    """Along which the velocity is."""
    if t == CLEAN:
        return 0.0
    alpha, sigma = (float(level) for level in schedule.level(t))
    return sigma if isinstance(schedule, Flow) else sigma / alpha
