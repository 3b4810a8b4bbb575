"""A denoiser that is tuned until a picture it paints again is another one, as CLIP sees it.

Kim, Kwon & Ye, "DiffusionCLIP: Text-Guided Diffusion Models for Robust Image Manipulation", 2022 (arXiv
2110.02711): a picture is inverted a part of the way to noise, and the network is tuned until what it makes of that
has gone where the text goes. The paper tunes all weights on fifty pictures; here a LoRA is fitted to the one
picture that is edited, which takes minutes, can be weighed, and can be kept in a file.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from morph import random
from morph.diffusion import lora
from morph.diffusion.condition import Condition
from morph.diffusion.guidance import conditioned
from morph.diffusion.lora import Lora
from morph.diffusion.model import LatentDiffusion
from morph.editing.directional import Directional
from morph.editing.fitting import Tried, check_can_fit

VARIED = 0.1
"""The share of fresh noise in the noise of a variant."""


def fit(
    model: LatentDiffusion,
    directional: Directional,
    pixels: Tensor,
    clean: Tensor,
    inverted: Tensor,
    condition: Condition,
    times: Sequence[int],
    seed: int,
    *,
    steps: int,
    rank: int,
    learning_rate: float,
    directional_weight: float,
    identity_weight: float,
    variants: int,
) -> Generator[Tried, None, Lora]:
    """Fit a LoRA under which ``inverted`` becomes the picture as the text wants it; yields every step.

    pixels (1,3,H,W) in [-1,1], and ``clean`` (1,C,h,w), its latents; ``inverted`` (1,C,h,w), these brought to
    ``times[0]`` along the model's own way; condition: one text, under which it is painted. ``times`` are the few by
    which the fit paints (the paper: 6), with gradients through all of them; only one prediction at a time is kept
    in memory, and made again on the way back. The loss is ``directional_weight`` (1 - cos(dI, dT)) and
    ``identity_weight`` times the mean absolute difference of the pictures (the paper's eq. 10 without its loss of
    faces). Besides the inverted noise itself, steps in turn see ``variants`` others, a share VARIED of them fresh.

    Raises:
        ModelError: the denoiser waits by blocks.
    """
    check_can_fit(model)
    fitted = lora.untrained(model, rank, seed)
    parameters = [*fitted.down.values(), *fitted.up.values()]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    starts = [inverted, *(_varied(model, clean, inverted, times[0], seed, number) for number in range(variants))]
    weight = torch.ones(1, 1, device=model.device)
    predict = conditioned(model.conditional(), condition)
    for step in range(steps):
        latents = starts[step % len(starts)]
        # the hooks hold the matrices in rows together, which change with every step
        with torch.enable_grad(), lora.applied(model, [fitted], weight):
            for t, t_next in pairwise(times):
                believed = checkpoint(predict, latents, t, use_reentrant=False)
                latents = model.schedule.noise(*believed, t_next)
            picture = model.decode(latents)
            wanted = directional_weight * directional(picture).mean()
            loss = wanted + identity_weight * F.l1_loss(picture, pixels.to(picture))
            loss.backward()  # in here, since predictions are made again for it
        optimizer.step()
        optimizer.zero_grad()
        yield Tried(float(loss.detach()), times[0], latents.detach())
    return lora.frozen(fitted)


def _varied(model: LatentDiffusion, clean: Tensor, inverted: Tensor, t: int, seed: int, number: int) -> Tensor:
    """Inverted latents (1,C,h,w) of time t with a little other noise, of the same variance."""
    alpha, sigma = (float(level) for level in model.schedule.level(t))
    noise = (inverted - alpha * clean) / sigma
    fresh = random.normal(clean.shape, seed, "diffusionclip", number).to(clean)
    return alpha * clean + sigma * ((1 - VARIED) ** 0.5 * noise + VARIED**0.5 * fresh)
