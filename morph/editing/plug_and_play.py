"""Plug-and-play: a picture under another prompt, with the layout that a U-Net's features of the picture have.

Tumanyan et al., "Plug-and-Play Diffusion Features for Text-Driven Image-to-Image Translation", 2022, section 4. In
the U-Net of Stable Diffusion 1 and 2, features are those that the second block of the second level on the way up
says, and attention that of this block and all after it. In others it is what lies there: the level after the first
and its middle block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.exchange import Answer, Heard, Led
from morph.diffusion.model import LatentDiffusion
from morph.editing.path import Path
from morph.errors import ModelError

LEVEL = 1
"""Of the way up, whose features are injected."""


@dataclass(frozen=True)
class Injection:
    """For which share of the steps, from the first, features are the picture's, and queries and keys."""

    features: float = 0.8
    attention: float = 0.5


def check(model: LatentDiffusion) -> None:
    """Refuse what has no way up to inject features into.

    Raises:
        ModelError: the denoiser is a transformer.
    """
    if len(getattr(model.denoiser.network, "up_blocks", ())) <= LEVEL:
        raise ModelError(
            f"model {model.name} is no U-Net, and plug-and-play puts features into one: take FlowEdit, or a Stable "
            "Diffusion 1, 2 or XL"
        )


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
    what is painted otherwise than on the path is so; 0 is the picture, as far as it was inverted.

    Raises:
        ModelError: see :func:`check`.
    """
    check(model)
    count, predict = len(amounts), model.conditional()
    share = torch.tensor(amounts).reshape(-1, 1, 1, 1).to(path[times[0]])
    latents = path[times[0]].expand(count, -1, -1, -1)
    texts = Condition.cat([source, negative.expand(count), target.expand(count)])
    for number, (t, t_next) in enumerate(pairwise(times)):
        with injected(model, number / (len(times) - 1), injection):
            said = predict.output(torch.cat([path[t], latents, latents]), t, texts)
        of_negative, of_target = said[1:].chunk(2)
        wanted = predict.read(latents, t, torch.lerp(of_negative, of_target, guidance))
        kept = predict.read(path[t], t, said[:1])
        clean, noise = (torch.lerp(own, other, share) for own, other in zip(kept, wanted, strict=True))
        latents = model.schedule.noise(clean, noise, t_next)
        yield Step(t_next, latents, clean)
    return latents


@contextmanager
def injected(model: LatentDiffusion, share: float, injection: Injection) -> Iterator[None]:
    """Predict a batch with its first sample's features, queries and keys, when a ``share`` of the steps is taken."""
    network = model.denoiser.network
    middle = _middle(network)
    names = _after(model, middle) if share < injection.attention else []
    block = network.up_blocks[LEVEL].resnets[middle]
    with model.denoiser.exchanging(_led, names), _fed(block) if share < injection.features else nullcontext():
        yield


def _led(name: str, own: Callable[[], Heard]) -> Answer:
    return Led(own())


@contextmanager
def _fed(block: Any) -> Iterator[None]:
    """What a residual block adds to its input is for all samples what it adds for the first."""

    def first(layer: Any, inputs: Any, output: Tensor) -> Tensor:
        return output[:1].expand_as(output)

    # what it adds, and not what it says: a sample's own way past it stays
    handle = block.conv2.register_forward_hook(first)
    try:
        yield
    finally:
        handle.remove()


def _middle(network: Any) -> int:
    """The number of the block whose features are injected; of three the second."""
    return (len(network.up_blocks[LEVEL].resnets) - 1) // 2


def _after(model: LatentDiffusion, middle: int) -> list[str]:
    """Attention to the picture itself beside that block, and all after it."""
    names = []
    for site in model.denoiser.sites:
        if site.kind == "self" and site.name.startswith("up_blocks"):
            level, place = (int(part) for part in site.name.split(".")[1:4:2])
            if (level, place) >= (LEVEL, middle):
                names.append(site.name)
    return names
