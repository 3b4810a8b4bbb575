"""Keys and values of attention: captured from the ends, and shared with the frames between.

One mechanism for the published schemes, which differ in how the two ends are mixed, in what attends, and when:
DiffMorpher (Zhang et al., 2024, section 4.2), AID (He et al., "AID: Attention Interpolation of Text-to-Image
Diffusion", 2024, section 4), FreeMorph (Cao et al., 2025, section 3) and DreamMover (Shen et al., 2024, section 3).
Each end's keys and values are projected with that end's own weights, as DiffMorpher's paper has it; the query stays
the frame's own. The published code interpolates the inputs instead and projects them with mixed weights, which is
not the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from morph.blending.interpolation import lerp
from morph.diffusion.exchange import Answer, Apart, Averaged, Heard, Mixed
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.parts import Denoiser

Features = Mapping[tuple[int, str], Heard]
"""What attentions of K keyframes heard, by timestep and name."""
Sharing = Literal["interpolated", "outer", "joint", "both"]
"""How both ends are mixed; see :func:`shared`."""
Layers = Literal["shared", "all", "late"]
"""Which attentions are shared; see :class:`Scheme`."""
LATE = 0.75
"""How deep the late ones are: in Stable Diffusion's U-Net the last two blocks, as DreamMover has it."""


@dataclass(frozen=True)
class Scheme:
    """What frames hear of their ends, and where.

    sharing: how the two are mixed. layers: the attentions that are shared, see :class:`Site`: "shared" are those of
    a family's own choice, "late" those of the last quarter. text: also those to texts, where a denoiser has such.
    curve: a of the Beta(a, a) whose quantile at alpha is the share of the second end (He et al., section 4.3); 1 is
    alpha itself, and the larger a, the nearer to a half.
    """

    sharing: Sharing = "interpolated"
    layers: Layers = "shared"
    text: bool = False
    curve: float = 1.0

    def sites(self, denoiser: Denoiser) -> list[str]:
        """The names of the attentions that are shared."""
        return [
            site.name
            for site in denoiser.sites
            if (self.text or site.kind != "cross")
            and (self.layers == "all" or (site.shared if self.layers == "shared" else site.depth >= LATE))
        ]

    def share(self, alpha: Tensor) -> Tensor:
        """The share of the second end in the mix, for alphas (B,)."""
        if self.curve == 1:
            return alpha
        from scipy.special import betaincinv  # few schemes ask for it

        return torch.from_numpy(betaincinv(self.curve, self.curve, alpha.double().cpu().numpy())).to(alpha)


def captured(
    model: LatentDiffusion,
    features: dict[tuple[int, str], Heard],
    t: int,
    sites: Sequence[str],
    negatives: int = 0,
) -> AbstractContextManager[None]:
    """Keep the keys and values of the prediction made in the ``with`` body, under timestep ``t``.

    ``negatives`` are the samples ahead that guidance adds: theirs are not kept. Enter it after ``lora.applied``, so
    that what is kept includes each sample's own update.
    """

    def keep(name: str, own: Callable[[], Heard]) -> Heard:
        heard = own()
        features[t, name] = heard.rows(slice(negatives, None)) if negatives else heard
        return heard

    return model.denoiser.exchanging(keep, sites)


def shared(
    model: LatentDiffusion,
    first: Features,
    second: Features,
    t: int,
    alpha: Tensor,
    scheme: Scheme,
    *,
    own: bool = False,
    negatives: int = 0,
) -> AbstractContextManager[None]:
    """Predict with what the ends heard at ``t``, one for all frames or one each, for alphas (B,).

    With Attn(q; S) for a query's answer from keys and values S, those of the ends A and B, and c the share of B:
    "interpolated" is DiffMorpher's, and AID's inner: Attn(q; (1-c) A + c B). What stands at one place in the two
    pictures need not be alike, and means of unlike features are grey and soft.
    "outer" is AID's: (1-c) Attn(q; A) + c Attn(q; B).
    "joint" attends to both ends at once, sum_e w_e exp(q k_e) v_e / sum_e w_e exp(q k_e) with w = (1-c, c): each
    place of a frame finds what it resembles in either picture. These give an end itself at c 0 and 1, and between
    two equal ends.
    "both" is DreamMover's, joint attention without weights: the scores alone decide.

    With ``own`` a frame hears its own keys and values beside those of each end (AID's fused). Of samples that
    guidance puts ahead of the frames, ``negatives``, nothing is exchanged.
    """
    mix = _MIXES[scheme.sharing]
    share = scheme.share(alpha.to(model.device, torch.float32))
    sites = scheme.sites(model.denoiser)
    # all of them now: those of a time at which nothing was captured are missed here, not in the middle of a network
    mixed = {name: mix(first[t, name], second[t, name], share) for name in sites}

    def hear(name: str, own_heard: Callable[[], Heard]) -> Answer:
        return _beside_own(mixed[name], own_heard, own, negatives)

    return model.denoiser.exchanging(hear, sites)


def shared_within(
    model: LatentDiffusion, alpha: Tensor, scheme: Scheme, *, own: bool = False, negatives: int = 0
) -> AbstractContextManager[None]:
    """:func:`shared` where the ends are the first and the last of the frames, of alphas (B,) from 0 to 1."""
    mix = _MIXES[scheme.sharing]
    share = scheme.share(alpha.to(model.device, torch.float32))

    def hear(name: str, own_heard: Callable[[], Heard]) -> Answer:
        heard = own_heard()
        frames = heard.rows(slice(negatives, None))
        mixed = mix(frames.rows(slice(0, 1)), frames.rows(slice(-1, None)), share)
        return _beside_own(mixed, lambda: heard, own, negatives)

    return model.denoiser.exchanging(hear, scheme.sites(model.denoiser))


def averaged(model: LatentDiffusion, scheme: Scheme) -> AbstractContextManager[None]:
    """Answer all samples of a batch what they are answered on average (FreeMorph's inversion)."""
    return model.denoiser.exchanging(lambda name, own: Averaged(own()), scheme.sites(model.denoiser))


def _beside_own(mixed: Answer, own_heard: Callable[[], Heard], own: bool, negatives: int) -> Answer:
    if not own and not negatives:
        return mixed
    heard = own_heard()
    if own:
        mixed = mixed.beside(*heard.rows(slice(negatives, None))[:2])
    return Apart(negatives, heard.rows(slice(negatives)), mixed) if negatives else mixed


def _interpolated(first: Heard, second: Heard, share: Tensor) -> Heard:
    return Heard(lerp(first.keys, second.keys, share), lerp(first.values, second.values, share))


def _outer(first: Heard, second: Heard, share: Tensor) -> Mixed:
    return Mixed(first.expand(len(share)), second.expand(len(share)), share)


def _joint(first: Heard, second: Heard, share: Tensor) -> Heard:
    log_weights = torch.stack([1 - share, share], dim=1).log()  # -inf for an end without weight
    bias = log_weights.repeat_interleave(first.keys.shape[2], dim=1)[:, None, None]
    return _both(first, second, share)._replace(bias=bias)


def _both(first: Heard, second: Heard, share: Tensor) -> Heard:
    return first.beside(second.keys, second.values).expand(len(share))


_MIXES: dict[Sharing, Callable[[Heard, Heard, Tensor], Answer]] = {
    "interpolated": _interpolated,
    "outer": _outer,
    "joint": _joint,
    "both": _both,
}
