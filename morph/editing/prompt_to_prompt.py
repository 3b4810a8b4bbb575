"""Prompt-to-prompt: a picture under another prompt, which looks at its words where the picture itself did.

Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022, section 3. A batch is the source
and N targets. They start from the same noise; for a while the targets' maps of words are those of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.exchange import Answer, Apart, Heard, Led, Weighed
from morph.diffusion.guidance import guided
from morph.diffusion.model import LatentDiffusion
from morph.editing.path import Path
from morph.editing.words import Alignment
from morph.errors import ModelError

COARSE = 16
"""How many latents there are to a token of maps that are coarse: 16 x 16 of them for latents of 64 x 64."""


@dataclass(frozen=True)
class Blend:
    """Where targets may differ from the source: where these words are looked at.

    source, target (L,) bool: tokens of the two prompts. threshold: how much of its maximum a mean map has there at
    least. start: the share of the steps before which nothing is blended.
    """

    source: Tensor
    target: Tensor
    threshold: float = 0.3
    start: float = 0.2


@dataclass(frozen=True)
class Control:
    """What of the source's attention is put in the targets'.

    alignment: which maps of words go where; None leaves each target its own. factors (L,): what maps of the
    target's words are multiplied by, for as long as the source's are put in. cross, own: for which share of the
    steps, from the first, maps of words and the coarse ones of the picture are the source's.
    """

    alignment: Alignment | None
    factors: Tensor | None = None
    cross: float = 0.8
    own: float = 0.4
    blend: Blend | None = None


class Maps:
    """Mean maps of words at the coarse attentions of a batch, summed over all steps so far."""

    def __init__(self) -> None:
        self._totals: dict[int, Tensor] = {}

    def add(self, probabilities: Tensor) -> None:
        """Maps (B,H,T,L) of one attention."""
        mean, count = probabilities.mean(1), probabilities.shape[2]
        self._totals[count] = self._totals[count] + mean if count in self._totals else mean

    def mask(self, blend: Blend, size: Sequence[int]) -> Tensor:
        """Where words are looked at, the source's or a target's own, of latents (h,w): (B,1,h,w), 0 or 1."""
        total = self._totals[max(self._totals)]  # the finest of the coarse
        height, width = size
        down = round((height * width / total.shape[1]) ** 0.5)
        words = torch.stack([blend.source, *[blend.target] * (len(total) - 1)]).to(total)
        mean = (total @ words[..., None]).mT.unflatten(2, (-(-height // down), -1))
        grown = F.interpolate(F.max_pool2d(mean, 3, 1, 1), size=(height, width), mode="nearest")
        found = grown > blend.threshold * grown.amax((2, 3), keepdim=True)
        return (found | found[:1]).float()


def check(model: LatentDiffusion) -> None:
    """Refuse a model without attention to texts alone, whose maps of words these are.

    Raises:
        ModelError: it attends to its picture and its text at once.
    """
    if not any(site.kind == "cross" for site in model.denoiser.sites):
        raise ModelError(
            f"model {model.name} attends to its text and its picture at once, and prompt-to-prompt needs maps of "
            "words apart: take FlowEdit, or a Stable Diffusion 1, 2 or XL"
        )


def controlled(
    model: LatentDiffusion,
    control: Control,
    share: float,
    size: Sequence[int],
    targets: int,
    negatives: int,
    maps: Maps,
) -> AbstractContextManager[None]:
    """Predict a batch, the source ahead of its targets, under control, when a ``share`` of the steps is taken.

    Behind so many ``targets`` are others under the source's text, whose maps are the source's. ``size`` is (h,w) of
    the latents, ``negatives`` are the samples that guidance puts ahead, which are left alone. ``maps`` gets the
    coarse maps of words that answered, where something is to be blended.
    """
    coarse = -(-size[0] * size[1] // COARSE)
    replaces = share < control.cross and (control.alignment is not None or control.factors is not None)
    kinds = {"cross": replaces or control.blend is not None, "self": share < control.own}
    sites = {site.name: site.kind for site in model.denoiser.sites if kinds[site.kind]}

    def weigh(own: Tensor) -> Tensor:
        weighed = own
        if replaces:
            others = own[:1].expand(len(own) - 1 - targets, -1, -1, -1)
            weighed = torch.cat([own[:1], _of_targets(control, own[: 1 + targets]), others])
        if control.blend and own.shape[2] <= coarse:
            maps.add(weighed[: 1 + targets])
        return weighed

    def hear(name: str, own: Callable[[], Heard]) -> Answer:
        heard = own()
        if sites[name] == "self" and heard.keys.shape[2] > coarse:
            return heard
        batch = heard.rows(slice(negatives, None))
        answer = Weighed(batch, weigh) if sites[name] == "cross" else Led(batch)
        return Apart(negatives, heard.rows(slice(negatives)), answer) if negatives else answer

    return model.denoiser.exchanging(hear, list(sites))


@torch.no_grad()
def sample(
    model: LatentDiffusion,
    path: Path,
    texts: Condition,
    negative: Condition | Mapping[int, Condition],
    times: Sequence[int],
    guidance: float,
    control: Control,
    amounts: Sequence[float],
    *,
    follow: bool = True,
) -> Generator[Step, None, Tensor]:
    """The pictures (N,C,h,w) under the targets, ``texts`` (1+N) without the first, the source's.

    ``path`` is the source's, at ``times``. With ``follow``, the source stays on it: what a guided step misses of it
    is added to all, so that a target with the source's prompt is the source (as one noise for both does in Wu & De
    la Torre, "A Latent Space of Stochastic Diffusion Models", 2023). Without, its first latents alone are used, and
    ``negative``, one text or one for each time, is what keeps the source (Mokady et al., 2023). ``amounts`` (N)
    are how much of what a target's text does otherwise than the source's is done; 0 is the source. Weaker ones take
    one prediction more, of the same latents under the source's text.

    Raises:
        ModelError: see :func:`check`.
    """
    check(model)
    latents = path[times[0]].expand(len(texts), -1, -1, -1)
    size, maps = latents.shape[2:], Maps()
    share, count = torch.tensor(amounts).reshape(-1, 1, 1, 1).to(latents), len(amounts)
    weaker = count if any(amount != 1 for amount in amounts) else 0
    said = Condition.cat([texts, texts[:1].expand(weaker)])
    for number, (t, t_next) in enumerate(pairwise(times)):
        against = negative if isinstance(negative, Condition) else negative[t]
        predict = guided(model.conditional(), said, against, guidance)
        done = number / (len(times) - 1)
        with controlled(model, control, done, size, count, len(said) if guidance != 1 else 0, maps):
            believed = predict(torch.cat([latents, latents[1 : 1 + weaker]]), t)
        clean, noise = (_weakened(part, share, weaker) for part in believed)
        latents = model.schedule.noise(clean, noise, t_next)
        if follow:
            latents = torch.cat([path[t_next], latents[1:] + (path[t_next] - latents[:1])])
        if control.blend and done >= control.blend.start:
            mask = maps.mask(control.blend, size)
            latents = latents[:1] + mask * (latents - latents[:1])
        yield Step(t_next, latents[1:], clean[1:])
    return latents[1:]


def _weakened(part: Tensor, share: Tensor, weaker: int) -> Tensor:
    """What is believed of the source and N targets, less of what their texts do where it is known without these."""
    count = len(share)
    if not weaker:
        return part
    return torch.cat([part[:1], torch.lerp(part[1 + count :], part[1 : 1 + count], share)])


def _of_targets(control: Control, own: Tensor) -> Tensor:
    """Maps (N,H,T,L) that the targets are answered by, for those of a batch (1+N,H,T,L)."""
    maps = own[1:]
    if control.alignment:
        maps = control.alignment.carried(own[:1], maps)
    return maps if control.factors is None else maps * control.factors.to(maps)
