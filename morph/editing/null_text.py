"""Null-text inversion: the empty text of each step, fitted so that guidance leads back to a picture.

Mokady et al., "Null-text Inversion for Editing Real Images using Guided Diffusion Models", 2022, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.editing.path import Path

INNER, RATE, ENOUGH, SLACK = 10, 1e-2, 1e-5, 2e-5
"""Of their code: optimiser's steps at each time, and its rate at the first; the mean squared error at which it is
enough, and how much more it may be with each step."""


@dataclass(frozen=True)
class Fit:
    """How texts are fitted: ``inner`` steps of Adam at each time, whose rate falls to half of ``rate``."""

    inner: int = INNER
    rate: float = RATE


def fit(
    model: LatentDiffusion,
    path: Path,
    condition: Condition,
    negative: Condition,
    times: Sequence[int],
    guidance: float,
    how: Fit = Fit(),
) -> Generator[Step, None, dict[int, Condition]]:
    """A negative text for each of ``times`` but the last, for a picture's ``path`` inverted under ``condition``.

    Yields where the guided steps have come to. From the path's first latents, steps guided by ``guidance`` from
    these texts lead along the path. Each starts from the one before; only its tokens are fitted.
    """
    predict, latents = model.conditional(), path[times[0]]
    tokens, fitted = negative.tokens, dict[int, Condition]()
    steps = list(pairwise(times))
    for number, (t, t_next) in enumerate(steps):
        with torch.no_grad():
            of_text = predict.output(latents, t, condition)
        tokens = tokens.detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([tokens], lr=how.rate * (1 - number / (2 * len(steps))))
        for inner in range(how.inner + 1):
            with torch.enable_grad():
                against = predict.output(latents, t, replace(negative, tokens=tokens))
                believed = predict.read(latents, t, torch.lerp(against, of_text, guidance))
                next_latents = model.schedule.noise(*believed, t_next)
                loss = (next_latents - path[t_next]).square().mean()
            if loss < ENOUGH + number * SLACK or inner == how.inner:
                break
            (tokens.grad,) = torch.autograd.grad(loss, [tokens])
            optimiser.step()
        fitted[t] = replace(negative, tokens=tokens.detach())
        latents = next_latents.detach()
        yield Step(t_next, latents, believed.clean.detach())
    return fitted
