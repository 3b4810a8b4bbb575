"""Tensor maths between two ends: slerp, lerp, AdaIN. ``alpha`` is (B,), 0 at the first end, 1 at the second.

Or it is (B,1,h,w), one for each place.
"""

from __future__ import annotations

import torch
from torch import Tensor

PARALLEL = 1 - 1e-7
"""Cosine above which two tensors count as parallel and slerp becomes lerp."""


def lerp(first: Tensor, second: Tensor, alpha: Tensor) -> Tensor:
    """(1-alpha) first + alpha second for ends (1,...) or (B,...): one sample per alpha, in the ends' dtype.

    Mixed in float32 at least: bfloat16 alphas would come in steps that show in a slow morph.
    """
    dtype = torch.promote_types(first.dtype, torch.float32)
    weight = _spread(alpha, first.ndim).to(first.device, dtype)
    return torch.lerp(first.to(dtype), second.to(dtype), weight).to(first.dtype)


def slerp(first: Tensor, second: Tensor, alpha: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake, 1985) of ends (1,...) or (B,...), one sample per alpha.

    Computed in float64 over each whole sample: the angle is the one between the flattened ends, and the norm
    follows the sines, as in DiffMorpher and Wang & Golland: noise stays noise-like where a lerp would shrink
    it. Parallel, opposite or zero ends define no path on the sphere; they are lerped.
    """
    a, b = first.cpu().double(), second.cpu().double()  # not every accelerator has float64
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1), dim=1)
    angle = _spread(cosine.arccos(), first.ndim)
    weight = _spread(alpha, first.ndim).cpu().double()
    on_sphere = ((1 - weight) * angle).sin() / angle.sin() * a + (weight * angle).sin() / angle.sin() * b
    # a zero end has cosine 0
    defined = (cosine.abs() < PARALLEL) & a.flatten(1).any(1) & b.flatten(1).any(1)
    return torch.where(_spread(defined, first.ndim), on_sphere, lerp(a, b, weight)).to(first)


def adain(latents: Tensor, first: Tensor, second: Tensor, alpha: Tensor) -> Tensor:
    """Give latents (B,C,h,w) the channel means and deviations of the ends (1,C,h,w), interpolated.

    Adaptive instance normalisation (Huang & Belongie, 2017) as DiffMorpher, section 4.3, uses it: colours
    and contrast go from the one end's to the other's. A constant channel keeps its zero deviation.
    """
    mean, std = _moments(latents)
    (mean0, std0), (mean1, std1) = _moments(first), _moments(second)
    normalised = (latents - mean) / std.clamp_min(1e-6)  # below, there is rounding alone
    return normalised * lerp(std0, std1, alpha) + lerp(mean0, mean1, alpha)


def _spread(values: Tensor, dimensions: int) -> Tensor:
    """Values (B,), one for each sample of so many dimensions, beside which they stand; others as they are."""
    return values.reshape(-1, *[1] * (dimensions - 1)) if values.ndim == 1 else values


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True, correction=0)
