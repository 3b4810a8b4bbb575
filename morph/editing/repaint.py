"""RePaint (Lugmayr et al., 2022): a part of a picture painted anew, the rest told to the denoiser."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from morph import random
from morph.diffusion.ddim import Step
from morph.diffusion.prediction import Predictor
from morph.diffusion.schedule import Schedule
from morph.editing.jumps import resampled
from morph.editing.stochastic import denoised, noised_further


@torch.no_grad()
def inpaint(
    predict: Predictor,
    schedule: Schedule,
    known: Tensor,
    mask: Tensor,
    start: Tensor,
    times: Sequence[int],
    *,
    jump: int = 10,
    repeat: int = 10,
    seed: int = 0,
) -> Generator[Step, None, Tensor]:
    """Paint latents ``start`` (B,C,h,w) at ``times[0]`` down to ``times[-1]``, as ``known`` where the mask is 0.

    known: clean latents (B or 1,C,h,w). mask (B or 1,1,h,w) in [0,1]: 1 where they are not known; between, both
    count. Yields every step down. Where the mask is 0 the result is ``known``, bit for bit.

    Each step takes the unknown part from the denoiser, the known part noised (equation 8). That alone harmonises
    badly, as what is known is set without regard to what was painted, so every ``jump`` steps all is noised again
    by as many, ``repeat`` - 1 times (section 4.2); published are 250 steps, 10 and 10. Fresh noise is the same for
    all samples.
    """
    latents, drawn = start, 0
    for start_at, end_at in resampled(len(times) - 1, jump, repeat):
        s, t = times[start_at], times[end_at]
        fresh, of_known = (
            random.normal(latents.shape[1:], seed, purpose, drawn).to(latents)
            for purpose in ("repaint", "repaint-known")
        )
        drawn += 1
        if end_at < start_at:
            latents = noised_further(schedule, latents, s, t, fresh)
            continue
        believed = predict(latents, s)
        unknown = denoised(schedule, believed, s, t, fresh)
        told = known if end_at == len(times) - 1 else schedule.noise(known, of_known.expand_as(known), t)
        # two noises that know nothing of one another are less when mixed: between, as much is asked for again
        alpha = float(schedule.level(t)[0])
        mean = alpha * torch.lerp(known.expand_as(unknown), believed.clean, mask)
        mixed = torch.lerp(told.expand_as(unknown), unknown, mask) - mean
        latents = torch.where(mask > 0, mean + mixed / (mask.square() + (1 - mask).square()).sqrt(), told)
        yield Step(t, latents, believed.clean)
    return latents


def in_latents(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """A mask of pixels (B,1,H,W) in [0,1] as one of latents (...,h,w): of each cell the most of its pixels.

    What is 0 in it is known wholly.
    """
    return F.adaptive_max_pool2d(mask, (shape[-2], shape[-1]))
