"""Plug-and-play: a picture under another prompt, with the layout that a U-Net's features of the picture have.

Tumanyan et al., "Plug-and-Play Diffusion Features for Text-Driven Image-to-Image Translation", 2022, section 4.
Which features and which attention these are in a U-Net, :meth:`morph.diffusion.backbones.unet.UNet.led` says.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from morph.diffusion.backbones.unet import UNet
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.editing.path import Path
from morph.errors import ModelError


@dataclass(frozen=True)
class Injection:
    """For which share of the steps, from the first, features are the picture's, and queries and keys."""

    features: float = 0.8
    attention: float = 0.5


def unet_of(model: LatentDiffusion) -> UNet:
    """The model's U-Net, whose features and attention can be injected.

    Raises:
        ModelError: the denoiser is a transformer.
    """
    if not isinstance(model.denoiser, UNet):
        raise ModelError(
            f"model {model.name} is no U-Net, and plug-and-play puts features into one: take FlowEdit, or a Stable "
            "Diffusion 1, 2 or XL"
        )
    return model.denoiser


@torch.no_grad()
def sample(
    model: LatentDiffusion,
    path: Path,
    source: Condition,
    target: Condition,
    negative: Condition,
    times: Sequence[int],
    guidance: float,
    amounts: Sequence[float],
    injection: Injection = Injection(),
) -> Generator[Step, None, Tensor]:
    """Pictures (N,C,h,w) under the target's text, laid out as the one whose ``path`` at ``times`` this is.

    It was inverted under ``source``; as published, the empty text. One text each. ``amounts`` (N) are how much of
    what the target's text does otherwise than the source's is done; 0 is the picture, as far as it was inverted.
    Weaker ones take one prediction more, of the same latents under the source's text.

    Raises:
        ModelError: see :func:`unet_of`.
    """
    unet, predict, count = unet_of(model), model.conditional(), len(amounts)
    share = torch.tensor(amounts).reshape(-1, 1, 1, 1).to(path[times[0]])
    latents = path[times[0]].expand(count, -1, -1, -1)
    weaker = count if any(amount != 1 for amount in amounts) else 0
    texts = Condition.cat([source, negative.expand(count), target.expand(count), source.expand(weaker)])
    for number, (t, t_next) in enumerate(pairwise(times)):
        done = number / (len(times) - 1)
        with unet.led(done < injection.features, done < injection.attention):
            said = predict.output(torch.cat([path[t], latents, latents, latents[:weaker]]), t, texts)
        of_negative, of_target, of_source = said[1:].split([count, count, weaker])
        output = torch.lerp(of_negative, of_target, guidance)
        output = torch.lerp(of_source, output, share) if weaker else output
        clean, noise = predict.read(latents, t, output)
        latents = model.schedule.noise(clean, noise, t_next)
        yield Step(t_next, latents, clean)
    return latents
