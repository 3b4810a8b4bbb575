"""A picture changed as an instruction says, by a U-Net that was trained to, which is shown the picture as well.

Brooks et al., "InstructPix2Pix: Learning to Follow Image Editing Instructions", 2022, section 3.2.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from morph.diffusion.backbones.unet import UNet
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion


def follows(model: LatentDiffusion) -> bool:
    """Whether a model was made to follow instructions: its U-Net is shown a picture's latents too."""
    return isinstance(model.denoiser, UNet) and model.denoiser.edits


@torch.no_grad()
def sample(
    model: LatentDiffusion,
    latents: Tensor,
    noise: Tensor,
    instruction: Condition,
    negative: Condition,
    times: Sequence[int],
    picture_guidance: float,
    guidances: Sequence[float],
) -> Generator[Step, None, Tensor]:
    """The picture of clean latents (1,C,h,w) as the instruction wants it, painted from ``noise`` (1,C,h,w).

    One text each; for N ``guidances`` of the text N pictures (N,C,h,w). What is said of neither text nor picture,
    of the picture alone, and of both, is mixed as in equation 3: nothing + ``picture_guidance`` (picture - nothing)
    + guidance (both - picture).
    """
    predict, count = model.conditional(), len(guidances)
    scale = torch.tensor(guidances).reshape(-1, 1, 1, 1).to(latents)
    picture = _unscaled(model, latents).expand(count, -1, -1, -1)
    pictures = torch.cat([torch.zeros_like(picture), picture, picture])
    texts = Condition.cat([negative.expand(2 * count), instruction.expand(count)])
    made = noise.expand(count, -1, -1, -1)
    for t, t_next in pairwise(times):
        shown = torch.cat([torch.cat([made] * 3), pictures], 1)
        nothing, of_picture, of_both = predict.output(shown, t, texts).chunk(3)
        mixed = nothing + picture_guidance * (of_picture - nothing) + scale * (of_both - of_picture)
        clean, eps = predict.read(made, t, mixed)
        made = model.schedule.noise(clean, eps, t_next)
        yield Step(t_next, made, clean)
    return made


def _unscaled(model: LatentDiffusion, latents: Tensor) -> Tensor:
    """Latents as the autoencoder says them, which the network was shown in training, not scaled for diffusion."""
    scale, shift = (torch.as_tensor(level).reshape(-1, 1, 1).to(latents) for level in model.autoencoder.scaling)
    return latents / scale + shift
