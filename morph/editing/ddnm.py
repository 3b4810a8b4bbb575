"""DDNM (Wang et al., 2022, "Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model").

What is known of a picture, linearly, is kept; what the measure leaves open, the denoiser paints.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from morph import random
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Predictor
from morph.editing.jumps import resampled
from morph.editing.measurement import Measurement
from morph.editing.projection import in_pixels
from morph.editing.stochastic import noised_further

ETA = 0.85
"""The published share of fresh noise."""


@torch.no_grad()
def restore(
    predict: Predictor,
    model: LatentDiffusion,
    measurement: Measurement,
    wanted: Tensor,
    start: Tensor,
    times: Sequence[int],
    *,
    eta: float = ETA,
    jump: int = 1,
    repeat: int = 1,
    seed: int = 0,
) -> Generator[Step, None, Tensor]:
    """Paint latents ``start`` (B,C,h,w) at ``times[0]``; returns pictures (B,3,H,W) in [-1,1], measured as wanted.

    wanted: what ``measurement`` gives (B or 1,...) of what is looked for. Yields every step down; its clean latents
    are those that are measured so.

    Each step replaces what is believed to be the picture by that whose measure is right (algorithm 1): in pixels,
    see :func:`in_pixels`. The noise is then ``eta`` parts fresh, the same for all samples. With ``repeat``, each
    ``jump`` steps are gone back up and taken again (time travel, algorithm 2). The result is fitted a last time,
    exactly, after decoding.
    """
    schedule, latents, drawn = model.schedule, start, 0
    for start_at, end_at in resampled(len(times) - 1, jump, repeat):
        s, t = times[start_at], times[end_at]
        fresh = random.normal(latents.shape[1:], seed, "ddnm", drawn).to(latents)
        drawn += 1
        if end_at < start_at:
            latents = noised_further(schedule, latents, s, t, fresh)
            continue
        believed = predict(latents, s)
        clean = in_pixels(model, believed.clean, lambda pixels: measurement.fitted(pixels, wanted))
        share = eta if end_at < len(times) - 1 else 0.0
        noise = (1 - share**2) ** 0.5 * believed.noise + share * fresh
        latents = schedule.noise(clean, noise, t)
        yield Step(t, latents, clean)
    return measurement.held(model.decode(latents), wanted)
