"""Directions that are learnt with nothing asked for but that they can be told apart.

Voynov & Babenko, 2020: the columns of an orthonormal matrix A; see :mod:`morph.directions.reconstructor`.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

import torch
from torch import Tensor

from morph import random
from morph.directions.descent import Fit
from morph.directions.directions import Straight, spreads
from morph.directions.generator import Generator, Points
from morph.directions.reconstructor import Mover, Reconstructor, told_apart
from morph.errors import SettingsError


def orthonormal(rows: Tensor) -> Tensor:
    """K rows (K,D) of any length, K at most D, made orthonormal, with gradients."""
    q, r = torch.linalg.qr(rows.T)
    return (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).T


def along(vectors: Tensor, scale: Tensor | float) -> Mover:
    """Moves along unit vectors (K,D), by distances in units of ``scale``."""

    def mover(codes: Tensor, numbers: Tensor, distances: Tensor) -> Tensor:
        return distances.to(codes)[:, None] * scale * vectors[numbers].to(codes)

    return mover


def unsupervised(
    generator: Generator, points: Points, count: int, reach: tuple[float, float], weight: float, fit: Fit
) -> Steps[float, None, tuple[Straight, Reconstructor, float]]:
    """``count`` orthonormal directions, the reconstructor that tells them apart, and its accuracy; yields losses.

    reach: distances of moves, in units of how far codes lie from their mean. An amount of 1 is one standard
    deviation.

    Raises:
        SettingsError: more directions than a code has numbers.
    """
    width = points.codes.shape[1]
    if count > width:
        raise SettingsError(f"{count} directions of codes of {width} numbers cannot be told apart; ask for fewer")
    scale = float(points.codes.std(0).norm().clamp_min(1e-6))
    rows = random.normal((count, width), fit.seed, "unsupervised").requires_grad_()
    reconstructor = Reconstructor(count, fit.seed).to(points.codes.device)

    def mover(codes: Tensor, numbers: Tensor, distances: Tensor) -> Tensor:
        return along(orthonormal(rows), scale)(codes, numbers, distances)

    right = yield from told_apart(generator, points, mover, [rows], reconstructor, count, reach, fit, weight)
    vectors = orthonormal(rows.detach())
    directions = Straight(vectors, spreads(vectors, points.codes))
    return directions, reconstructor.eval().requires_grad_(False), right
