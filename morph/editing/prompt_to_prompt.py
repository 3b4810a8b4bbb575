"""Prompt-to-prompt: a picture under another prompt, which looks at its words where the picture itself did.

Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022, section 3. A batch is the source
and N targets. They start from the same noise; for a while the targets' maps of words are those of the source.

A U-Net has maps of words alone. A transformer attends to its picture and its text at once, under one softmax: a row
of probabilities, of one of the picture's queries, is over the picture's keys and the text's, and sums to one. There
the maps of words are the text's columns of these rows, after all that is done to queries and keys. Of a target

- a word that has a source's map takes it over whole, how much of a row it is included, as Hertz et al. have it;
- what the source's words leave of a row is divided among the picture and words of the target's own, as the target
  itself would divide it, so that rows go on summing to one;
- of the picture's share its own maps say what goes where: for as long as those are the source's, the source's;
- words are weighed as if their weights stood in the softmax: the whole row is divided by its sum. Weights below 0
  count by their size there, since rows could sum to nothing.

Where all words are the source's, and own maps are, a row is the source's own row. What the text's queries look at
stays the target's: Shin et al., "Exploring Multimodal Diffusion Transformers for Enhanced Prompt-based Image
Editing", 2025, find that a picture no longer fits its text where a text's queries and keys are replaced too, and
that those of the picture keep its layout. Their code can also put in the source's scores of words, before the
softmax; how much of a row words are then depends on the target's picture, and is not the source's. Attention of the
picture alone that some blocks have besides, as those of Stable Diffusion 3.5 medium, stays, as in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.exchange import Answer, Apart, Heard, Joint, Led, Site, Weighed
from morph.diffusion.guidance import guided
from morph.diffusion.model import LatentDiffusion
from morph.editing.path import Path
from morph.editing.words import Alignment, filled

COARSE = 16
"""How many latents there are to a token of maps that are coarse: 16 x 16 of them for latents of 64 x 64."""
SHARP = 0.15, 0.65
"""Between which depths a transformer's maps of words are blended by, which are all of one size. Here lie those that
Shin et al. found to show best where words are, in Stable Diffusion 3 and 3.5 and FLUX.1."""


@dataclass(frozen=True)
class Blend:
    """Where targets may differ from the source: where these words are looked at.

    source (K,), target (L,) bool: tokens of the two prompts. threshold: how much of its maximum a mean map has at
    least there. start: the share of the steps before which nothing is blended.
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
    steps, from the first, maps of words and the picture's own, a U-Net's coarse ones, are the source's.
    """

    alignment: Alignment | None
    factors: Tensor | None = None
    cross: float = 0.8
    own: float = 0.4
    blend: Blend | None = None

    def to(self, device: torch.device) -> Control:
        """The same on a device."""
        alignment = self.alignment and self.alignment.to(device)
        return replace(self, alignment=alignment, factors=None if self.factors is None else self.factors.to(device))


class Maps:
    """Mean maps of words at the attentions of a batch that are looked at, summed over all steps so far."""

    def __init__(self) -> None:
        self._totals: dict[int, Tensor] = {}

    def add(self, maps: Tensor) -> None:
        """Maps (B,T,L) of one attention, the mean of its heads."""
        count = maps.shape[1]
        self._totals[count] = self._totals[count] + maps if count in self._totals else maps

    def mask(self, blend: Blend, size: Sequence[int]) -> Tensor:
        """Where words are looked at, the source's or a target's own, of latents (h,w): (B,1,h,w), 0 or 1."""
        total = self._totals[max(self._totals)]  # the finest of them
        height, width = size
        down = round((height * width / total.shape[1]) ** 0.5)
        source, target = (filled(words, total.shape[2]) for words in (blend.source, blend.target))
        words = torch.stack([source, *[target] * (len(total) - 1)]).to(total)
        mean = (total @ words[..., None]).mT.unflatten(2, (-(-height // down), -1))
        grown = F.interpolate(F.max_pool2d(mean, 3, 1, 1), size=(height, width), mode="nearest")
        found = grown > blend.threshold * grown.amax((2, 3), keepdim=True)
        return (found | found[:1]).float()


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
    maps of words that answered, coarse or sharp ones, where something is to be blended.
    """
    coarse = -(-size[0] * size[1] // COARSE)
    replaces = share < control.cross and (control.alignment is not None or control.factors is not None)
    leads = share < control.own
    blends, at_once = control.blend is not None, any(site.kind == "joint" for site in model.denoiser.sites)
    asked = {"cross": replaces or blends, "self": leads and not at_once, "joint": replaces or leads}
    sites = {site.name: site for site in model.denoiser.sites if asked[site.kind] or (blends and _is_sharp(site))}

    def weigh(own: Tensor, joint: Joint | None) -> Tensor:
        source, of_targets, others = own.tensor_split([1, 1 + targets])
        if joint:
            alignment, factors = (control.alignment, control.factors) if replaces else (None, None)
            of_targets = _rows(source, of_targets, joint.texts, alignment, factors, leads)
            same = Alignment.same(joint.texts, own.device) if replaces else None
            others = _rows(source, others, joint.texts, same, None, leads)
        elif replaces:
            of_targets, others = _of_targets(control, own[: 1 + targets]), source.expand_as(others)
        return torch.cat([source, of_targets, others])

    def watch(of_words: Tensor) -> None:
        if at_once or of_words.shape[1] <= coarse:
            maps.add(of_words[: 1 + targets])

    def hear(name: str, own: Callable[[], Heard]) -> Answer:
        heard, site = own(), sites[name]
        if site.kind == "self" and heard.keys.shape[2] > coarse:
            return heard
        batch = heard.rows(slice(negatives, None))
        watched = blends and (site.kind == "cross" or _is_sharp(site))
        answer = Led(batch) if site.kind == "self" else Weighed(batch, weigh, watch if watched else None)
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
    """
    control = control.to(model.device)
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


def _is_sharp(site: Site) -> bool:
    return site.kind == "joint" and SHARP[0] <= site.depth < SHARP[1]


def _rows(
    source: Tensor, own: Tensor, texts: int, alignment: Alignment | None, factors: Tensor | None, leads: bool
) -> Tensor:
    """Rows (N,H,T,S) of joint attention that targets are answered by, for the source's (1,H,T,S) and their own.

    How, the module says. The last ``texts`` columns are the text's. With ``leads`` own maps are the source's.
    """
    pictures = own.shape[-1] - texts
    of_source, said = source.split([pictures, texts], -1)
    picture, words = own.split([pictures, texts], -1)
    if leads:
        picture = of_source * (_total(picture) / _total(of_source))
    if alignment:
        alignment = alignment.filled(texts)
        carried, fresh = said @ alignment.shares, words * ~alignment.known
        left = (1 - _total(carried)).clamp_min(0) / (_total(picture) + _total(fresh))
        picture, words = picture * left, carried + fresh * left
    if factors is not None:
        words = words * filled(factors, texts, 1.0)
        total = _total(picture) + _total(words.abs())
        picture, words = picture / total, words / total
    return torch.cat([picture, words], -1)


def _total(rows: Tensor) -> Tensor:
    """The sums of rows, never quite 0."""
    return rows.sum(-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
