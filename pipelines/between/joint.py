"""What is fitted to both ends of a way at once: a LoRA that is the same all along it, and its rank.

Yang et al., "IMPUS: Image Morphing with Perceptually-Uniform Sampling Using Diffusion Models", ICLR 2024. Where the
paper says less than its published code, it is as that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from PIL.Image import Image
from torch import Tensor

from morph.blending.interpolation import slerp
from morph.diffusion import lora
from morph.diffusion.condition import Condition
from morph.diffusion.guidance import passes
from morph.diffusion.lora import Lora
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.solvers import solver_of
from morph.perception.lpips import PerceptualDistance
from morph.steps import drain
from pipelines.between.denoising import denoise
from pipelines.between.keyframes import FittedKeyframe, Progress, fit_options, invert_keyframes, updated
from pipelines.between.pair import Pair
from pipelines.request.costs import PATH
from pipelines.request.fitting import MAX_RANK
from pipelines.request.settings import Settings

_STEEP, _LEAST = 18.0, 6.0
"""The rank is two to the power of this many times a path's diversity, less so much."""
_ODD, _FAR, _LOW, _SAME = 16, 0.1, 0.9, 1e-6
"""The least rank where the variances of both inverted latents are so far apart, and the smaller one is below the
third; and LPIPS of two ends that are one picture."""


def fit_jointly(
    model: LatentDiffusion, ends: Sequence[FittedKeyframe], settings: Settings, rank: int, progress: Progress
) -> list[FittedKeyframe]:
    """Both ends with one LoRA of a rank, fitted to both, each under its own text, in place of whatever they had.

    And, where the settings say so, with another for the negative text, fitted to both under it. Neither is
    inverted.
    """
    plain, options = [end.unfitted for end in ends], settings.lora
    mean, std = (torch.cat(parts) for parts in zip(*(model.posterior(end.pixels) for end in plain), strict=True))
    weights = torch.eye(len(plain), device=model.device).repeat_interleave(options.draws, 0)

    def fitted(texts: Sequence[Condition], steps: int, rank: int) -> Lora:
        told = fit_options(replace(options, steps=steps, rank=rank))
        fit = lora.fit(model, mean, std, Condition.cat(texts), settings.seed, **told, joint=True)
        with updated(model, plain, weights):
            (one,) = drain(fit, lambda loss: progress("fit LoRA", 3 * len(weights)))
        return one

    both = fitted([end.condition for end in plain], options.steps, rank)
    negative = None
    if options.negative_steps:
        negative = fitted([end.negative for end in plain], options.negative_steps, options.negative_rank)
    return [replace(end, lora=both, negative_lora=negative) for end in plain]


def adaptive_rank(
    model: LatentDiffusion,
    ends: Sequence[FittedKeyframe],
    settings: Settings,
    perception: PerceptualDistance,
    progress: Progress,
) -> int:
    """The rank that IMPUS gives the LoRA of two ends: the more, the more the way between them strays without one.

    Frames at every tenth of the way, both ends among them, are denoised as they are, from slerped noise under mixed
    texts and with the guidance that a frame halfway has.
    """

    def finding(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
        progress("find rank", cost, preview)

    first, second = (
        invert_keyframes(model, [end.unfitted], settings, finding, [0.0])[0] for end in ends
    )  # one at a time, as frames are: how a batch rounds must not decide a rank
    pair = Pair.of(first, second, settings)
    features = [perception.features(_plain_frame(model, pair, alpha, settings, finding)) for alpha in PATH]
    gaps = [float(perception.between(one, next_one)) for one, next_one in pairwise(features)]
    noises = [end.noise for end in pair.ends if end.noise is not None]
    return rank_of(diversity(gaps, float(perception.between(features[0], features[-1]))), noises)


def diversity(gaps: Sequence[float], ends: float) -> float:
    """IMPUS's relative perceptual path diversity: LPIPS of ten neighbours over nine times that of the ends.

    In the code the first of the ten is no neighbour's: there the way runs from the second image to the first, and
    is begun with the first. Two ends that are one picture have no diversity.
    """
    return sum(gaps) / (9 * ends) if ends > _SAME else 0.0


def rank_of(diversity: float, noises: Sequence[Tensor]) -> int:
    """The rank for a path's diversity and the inverted latents (1,C,h,w) of its ends; for odd ones it is higher."""
    exponent = max(0.0, _STEEP * diversity - _LEAST)
    rank = MAX_RANK if exponent >= MAX_RANK.bit_length() else 2 ** int(exponent)
    variances = [float(noise.var()) for noise in noises]
    if max(variances) - min(variances) > _FAR and min(variances) < _LOW:
        rank = max(_ODD, rank)
    return min(rank, MAX_RANK)


def _plain_frame(
    model: LatentDiffusion, pair: Pair, alpha: float, settings: Settings, progress: Progress
) -> Tensor:
    """A frame (1,3,h,w) in [-1,1] of slerped noise and mixed texts, and of nothing else."""
    place = torch.tensor([alpha], device=model.device)
    first, second = (end.noise for end in pair.ends)
    assert first is not None
    assert second is not None
    infill, guidance = settings.infill, settings.infill.guidance_most
    times = model.times(settings.steps, first.shape, infill.steps or None, infill.skip)
    latents = denoise(
        *(model, pair, slerp(first, second, place), place, times),
        lambda step: progress("find rank", passes(guidance)),
        solver=solver_of(settings.inversion, settings.inversion_iterations, settings.seed),
        guidance=guidance,
    )
    return model.decode(latents)
