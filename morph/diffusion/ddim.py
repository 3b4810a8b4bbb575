"""Deterministic DDIM (Song, Meng & Ermon, 2021, eq. 12 with eta 0), both ways along the same ODE."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from morph.diffusion.prediction import Predictor
from morph.diffusion.schedule import Schedule


class Step(NamedTuple):
    """Where a sampler has come to: its time, and latents (B,C,h,w) float32 at that time.

    ``clean`` (B,C,h,w) float32 is what the denoiser takes them to be without noise.
    """

    t: int
    latents: Tensor
    clean: Tensor


@torch.no_grad()
def sample(
    predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
) -> Generator[Step, None, Tensor]:
    """Denoise latents (B,C,h,w) at ``times[0]`` down to ``times[-1]``; yields every step, returns the latents.

    :func:`morph.steps.drain` runs it to its end, as all that goes on in steps.
    """
    for t, t_next in pairwise(times):
        clean, noise = predict(latents, t)
        latents = schedule.noise(clean, noise, t_next)
        yield Step(t_next, latents, clean)
    return latents


@torch.no_grad()
def invert(
    predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int], iterations: int = 3
) -> Generator[Step, None, Tensor]:
    """Find the latents at ``times[0]`` that ``sample`` brings to these at ``times[-1]``.

    Yields where it has come to after each evaluation, returns the latents of the last. ``iterations`` is 1 or more.

    A DDIM step z_s = alpha_s z_0(z_t) + sigma_s eps(z_t) is implicit when read backwards: its prediction
    is made at the unknown z_t. The plain inversion (``iterations`` 1) predicts at z_s instead, and the
    errors add up over the steps; each further fixed-point iteration predicts again at the last z_t
    (Pan et al., "Effective Real Image Editing with Accelerated Iterative Diffusion Inversion", 2023).
    """
    for s, t in pairwise(reversed(times)):
        estimate = latents
        for _ in range(iterations):
            estimate, clean = schedule.moved(latents, s, t, predict(estimate, t))
            yield Step(t, estimate, clean)
        latents = estimate
    return latents


@torch.no_grad()
def leap(
    predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
) -> Generator[Step, None, Tensor]:
    """:func:`invert` in one step from ``times[-1]`` to ``times[0]``, by two evaluations.

    Yields where it has come to after each, returns the latents of the last. The noise is what the model sees in
    the latents as they are, and then what it sees in them under that noise. Fit for a short way, along which the
    noise hardly changes.
    """
    estimate = latents
    for t in (times[-2], times[0]):
        estimate, clean = schedule.moved(latents, times[-1], times[0], predict(estimate, t))
        yield Step(times[0], estimate, clean)
    return estimate
