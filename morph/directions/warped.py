"""Bent ways through a space, that turn as one goes along them.

Tzelepis, Tzimiropoulos & Patras, "WarpedGANSpace: Finding non-linear RBF paths in GAN latent space", 2021: each
way follows the gradient of a sum of radial bumps in pairs of opposite sign, dipoles (eq. 2 and 3), and all are
learnt so that a reconstructor tells them apart (eq. 5). Published: moves of 0.25 to 0.45, Adam at 1e-4, 100,000
steps of 32.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

import torch
from torch import Tensor

from morph import random
from morph.directions.descent import Fit
from morph.directions.directions import Bent
from morph.directions.generator import Generator, Points
from morph.directions.reconstructor import Reconstructor, told_apart


def dipoles(points: Points, count: int, pairs: int, seed: int, beta: float = 0.5) -> Bent:
    """``count`` random sums of ``pairs`` of bumps, opposite each other across the mean of codes.

    They lie as far out as codes do; and each has fallen to ``beta`` at the place of its opposite, so that its
    slope is felt where codes are.
    """
    codes = points.codes.detach().float().cpu()
    mean, radius = codes.mean(0), codes.std(0).norm().clamp_min(1e-6)
    half = torch.nn.functional.normalize(random.normal((count, pairs, codes.shape[1]), seed, "dipoles"), dim=2)
    half = half * radius
    supports = torch.stack([mean + half, mean - half], 2).flatten(1, 2)
    weights = torch.tensor([1.0, -1.0]).repeat(count, pairs)
    gamma = -torch.log(torch.tensor(beta)) / (2 * radius) ** 2
    return Bent(supports, weights, gamma.expand(count, 2 * pairs).clone(), _scales(codes, count))


def warped(
    generator: Generator,
    points: Points,
    count: int,
    pairs: int,
    reach: tuple[float, float],
    weight: float,
    fit: Fit,
) -> Steps[float, None, tuple[Bent, Reconstructor, float]]:
    """``count`` bent ways of ``pairs`` dipoles each, the reconstructor, and its accuracy; yields losses.

    Supports and gammas are learnt. reach: distances of moves, in units of how far codes lie from their mean. An
    amount of 1 is the standard deviation of codes.
    """
    start = dipoles(points, count, pairs, fit.seed)
    scale = float(points.codes.std(0).norm().clamp_min(1e-6))
    supports = (start.supports / scale).to(points.codes.device).requires_grad_()
    log_gammas = (start.gammas * scale**2).log().to(points.codes.device).requires_grad_()
    weights = start.weights.to(points.codes.device)
    reconstructor = Reconstructor(count, fit.seed).to(points.codes.device)

    def mover(codes: Tensor, numbers: Tensor, distances: Tensor) -> Tensor:
        here = Bent(supports * scale, weights, log_gammas.exp() / scale**2, start.scales)
        return distances[:, None] * scale * here.at(codes, numbers)

    learnt = [supports, log_gammas]
    right = yield from told_apart(generator, points, mover, learnt, reconstructor, count, reach, fit, weight)
    gammas = (log_gammas.detach().exp() / scale**2).cpu()
    found = Bent((supports.detach() * scale).cpu(), start.weights, gammas, start.scales)
    return found, reconstructor.eval().requires_grad_(False), right


def _scales(codes: Tensor, count: int) -> Tensor:
    """How much codes differ along an axis, in the mean: sqrt(mean variance)."""
    return codes.var(0).mean().sqrt().clamp_min(1e-6).expand(count).clone()
