"""ILVR (Choi et al., 2021): what is coarse is a reference's, what is fine the denoiser's."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from morph import random
from morph.diffusion.ddim import Step
from morph.diffusion.prediction import Predictor
from morph.diffusion.schedule import Schedule
from morph.editing.frequencies import low_pass
from morph.editing.stochastic import denoised


@torch.no_grad()
def refine(
    predict: Predictor,
    schedule: Schedule,
    reference: Tensor,
    start: Tensor,
    times: Sequence[int],
    *,
    width: float = 4.0,
    free: float = 0.2,
    seed: int = 0,
) -> Generator[Step, None, Tensor]:
    """Paint latents ``start`` (B,C,h,w) at ``times[0]`` down to ``times[-1]``, coarsely as a reference.

    reference: clean latents (B or 1,C,h,w). width: what is as wide, in cells of the latents, or wider is the
    reference's. free: the share of the steps, the last ones, that the reference has no say in. Yields every step.

    Each step is DDPM's; then x becomes x - phi_N(x) + phi_N(y_t), with y_t the reference noised to the same time
    (algorithm 1). Published are a width of 32 pixels and 20 of 100 steps free. phi_N is linear, so
    it serves latents too, which are coarse where their pictures are. Fresh noise is the same for all samples.
    """
    latents, last_told = start, round((1 - free) * (len(times) - 1))
    for step, (s, t) in enumerate(pairwise(times)):
        fresh, of_reference = (
            random.normal(latents.shape[1:], seed, purpose, step).to(latents)
            for purpose in ("ilvr", "ilvr-reference")
        )
        believed = predict(latents, s)
        latents = denoised(schedule, believed, s, t, fresh)
        if step < last_told:
            last = step == len(times) - 2
            told = reference if last else schedule.noise(reference, of_reference.expand_as(reference), t)
            latents = latents + low_pass(told - latents, width)
        yield Step(t, latents, believed.clean)
    return latents
