"""Anchors that are made together, coupled by attention: those of FreeMorph's seven frames that are no keyframes.

Cao et al., "FreeMorph: Tuning-Free Generalized Image Morphing with Diffusion Model", 2025, as the published code
has it where the paper says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from morph import random
from morph.blending.interpolation import slerp
from morph.diffusion import attention, ddim
from morph.diffusion.attention import Scheme
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import conditioned, passes
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction
from morph.diffusion.solvers import FixedPoint
from morph.errors import MorphError
from morph.steps import drain
from pipelines.between.denoising import denoise
from pipelines.between.keyframes import Progress, updated
from pipelines.between.pair import Pair
from pipelines.request.costs import COUPLED
from pipelines.request.settings import Settings

_SCHEME = Scheme("outer", layers="all", text=True, curve=20.0)
"""How frames attend to the ends, in all of the network."""
_HALFWAY = Scheme("outer", layers="all", text=True)
_AVERAGED, _OUTER, _FUSED = (0.3, 0.6), 0.2, 0.6
"""The shares of all steps between which the inversion averages, and of those of denoising up to which frames attend
to the ends alone, and then to themselves too."""
_KEPT = (44, 42, 42, 42, 42)
"""Of ``_SIDE`` frequencies along a side, how many below and above 0 each frame keeps; others are all frames'."""
_SIDE = 96


def made_together(
    model: LatentDiffusion, pair: Pair, alphas: Sequence[float], steps: int, settings: Settings, progress: Progress
) -> Tensor:
    """Clean latents (N,C,h,w) of frames at N alphas inside (0,1), inverted and denoised by ``steps`` of all.

    Raises:
        MorphError: the network overflowed.
    """
    alpha = torch.tensor([0.0, *alphas, 1.0], device=model.device)
    times = model.times(settings.steps, pair.first.latents.shape)[-1 - steps :]
    noisy = _inverted(model, pair, _start(model, pair, alpha, settings.seed), alpha, times, settings, progress)
    shared_noise = random.normal(noisy.shape[1:], settings.seed, "anchors together").to(noisy)
    parts = list(noisy.split(1))
    for number in range(1, len(parts) - 1):
        kept = _KEPT[(number - 1) % len(_KEPT)]
        parts[number] = _with_details_of(parts[number], shared_noise[None], kept)
    return _denoised(model, pair, torch.cat(parts), alpha, times, settings, progress)[1:-1]


def _start(model: LatentDiffusion, pair: Pair, alpha: Tensor, seed: int) -> Tensor:
    """Clean latents (B,C,h,w) at alphas (B,): samples of the ends' posteriors, slerped row by row."""
    mean, deviation = model.posterior(torch.cat([end.pixels for end in pair.ends]))
    drawn = [random.normal(mean.shape[1:], seed, "anchors together, posterior", side) for side in (0, 1)]
    rows = (mean + deviation * torch.stack(drawn).to(mean)).flatten(1, 2)
    between = [slerp(rows[0], rows[1], share.expand(len(rows[0]))) for share in alpha]
    return torch.stack(between).unflatten(1, mean.shape[1:3])


def _inverted(
    model: LatentDiffusion,
    pair: Pair,
    clean: Tensor,
    alpha: Tensor,
    times: Sequence[int],
    settings: Settings,
    progress: Progress,
) -> Tensor:
    """All frames at ``times[0]``: first as they are, then under the mean of all answers, then of the ends'."""
    predict_plain = conditioned(model.conditional(pair.control(alpha)), pair.condition(alpha))
    order = list(reversed(times))
    start, end = (int(share * settings.steps) for share in _AVERAGED)

    def coupled(step: int) -> AbstractContextManager[None]:
        if start < step < end:
            return attention.averaged(model, _SCHEME)
        # step ``end`` is an ordinary one, as in the code
        return (
            attention.shared_within(model, torch.full_like(alpha, 0.5), _HALFWAY) if step > end else nullcontext()
        )

    def predict(latents: Tensor, t: int) -> Prediction:
        with coupled(order.index(t) - 1):
            return predict_plain(latents, t)

    with updated(model, pair.ends, torch.stack([1 - alpha, alpha], dim=1)):
        inversion = ddim.invert(predict, model.schedule, clean, times, COUPLED)
        noisy = drain(inversion, lambda step: progress("anchors", len(clean)))
    if not noisy.isfinite().all():
        raise MorphError("the inversion overflowed; try --dtype float32 or more steps")
    return noisy


def _denoised(
    model: LatentDiffusion,
    pair: Pair,
    noisy: Tensor,
    alpha: Tensor,
    times: Sequence[int],
    settings: Settings,
    progress: Progress,
) -> Tensor:
    """All frames brought back: at first they attend to the ends alone, then to themselves too, then as ever."""
    guidance = settings.anchors.guidance
    alone, fused = (int(share * (len(times) - 1)) for share in (_OUTER, _FUSED))
    negatives = len(alpha) if guidance != 1 else 0

    def during(t: int) -> AbstractContextManager[None]:
        step = times.index(t)
        if step >= fused:
            return nullcontext()
        return attention.shared_within(model, alpha, _SCHEME, own=step >= alone, negatives=negatives)

    def tick(step: Step) -> None:
        middle = len(alpha) // 2
        progress(
            "anchors", len(noisy) * passes(guidance), lambda: pair.preview.image(step.clean[middle : middle + 1])
        )

    return denoise(model, pair, noisy, alpha, times, tick, solver=FixedPoint(), guidance=guidance, during=during)


def _with_details_of(latents: Tensor, noise: Tensor, kept: int) -> Tensor:
    """Latents (1,C,h,w) with the noise's high frequencies; of ``_SIDE`` they keep ``kept`` below and above 0."""
    height, width = latents.shape[2:]
    rows, columns = (
        torch.arange(side, device=latents.device).sub(side // 2).mul(_SIDE / side) for side in (height, width)
    )
    own = ((rows >= -kept) & (rows < kept))[:, None] & ((columns >= -kept) & (columns < kept))
    spectra = [torch.fft.fftshift(torch.fft.fft2(part.float()), dim=(-2, -1)) for part in (latents, noise)]
    mixed = torch.where(own, *spectra)
    return torch.fft.ifft2(torch.fft.ifftshift(mixed, dim=(-2, -1))).real.to(latents)
