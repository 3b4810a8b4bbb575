"""Directions that change one region of pictures and leave the rest alone.

Zhu, Feng, Shen, Zhao, Zha, Zhou & Chen, "Low-Rank Subspaces in GANs" (LowRankGAN), 2021: with J the Jacobian of a
region's pixels, robust PCA takes J^T J apart into a part of low rank and a sparse one; the leading eigenvectors
of the first change the region most (section 3.1), and what is left of them in the null space of the rest's leaves
that alone (section 3.2, eq. 7).
"""

from __future__ import annotations

from collections.abc import Generator as Steps
from dataclasses import dataclass

import torch
from torch import Tensor

from morph.directions.generator import BATCH, Generator, Points, pictures_of
from morph.errors import SettingsError

MOST_ITERATIONS = 1000
SPARSITY = 3.0
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Regional:
    """vectors: unit (K,D), each in the null space of the rest. free: the same before (K,D). rank: of the rest."""

    vectors: Tensor
    free: Tensor
    rank: int


def answers(
    generator: Generator, points: Points, basis: Tensor, mask: Tensor, step: float
) -> Steps[int, None, tuple[Tensor, Tensor]]:
    """J^T J of the pixels in a mask (1,1,H,W) and of the others, in a basis (K,D), in the mean of all points.

    J is by differences of pictures, ``step`` to either side along each vector. Two matrices (K,K), float64.
    Yields the number of pictures that were made.
    """
    inner = torch.zeros(len(basis), len(basis), dtype=torch.float64)
    rest = torch.zeros_like(inner)
    for index in range(len(points)):
        here = points[index : index + 1]
        columns = []
        for part in basis.to(here.codes).split(BATCH // 2):
            shifts = torch.cat([part * step, part * -step])
            plus, minus = pictures_of(generator, here.repeated(len(shifts)), shifts).chunk(2)
            columns.append(((plus - minus) / (2 * step)).double().cpu())
            yield len(shifts)
        jacobian = torch.cat(columns)
        for total, share in ((inner, mask), (rest, 1 - mask)):
            seen = (jacobian * share.double().sqrt()).flatten(1)
            total += seen @ seen.T / len(points)
    return inner, rest


def robust_pca(matrix: Tensor, sparsity: float = 1.0) -> tuple[Tensor, Tensor]:
    """A matrix (K,K) as a part L of low rank and a sparse part S: |L|_* + lambda |S|_1 least with L + S the matrix.

    By the alternating directions method (Candès, Li, Ma & Wright, "Robust Principal Component Analysis?", 2011,
    algorithm 1); lambda is ``sparsity`` / sqrt(K), with 1 as there. LowRankGAN has 1/60 for codes of 512, a
    sparsity of 0.38.
    """
    size = matrix.abs().sum()
    if size == 0:
        return matrix.clone(), torch.zeros_like(matrix)
    weight, mu = sparsity / len(matrix) ** 0.5, matrix.numel() / (4 * float(size))
    low, sparse, dual = (torch.zeros_like(matrix) for _ in range(3))
    for _ in range(MOST_ITERATIONS):
        left, values, right = torch.linalg.svd(matrix - sparse + dual / mu)
        low = left @ torch.diag((values - 1 / mu).clamp_min(0)) @ right
        wanted = matrix - low + dual / mu
        sparse = wanted.sign() * (wanted.abs() - weight / mu).clamp_min(0)
        short = matrix - low - sparse
        dual = dual + mu * short
        if short.norm() <= _TOLERANCE * matrix.norm():
            break
    return low, sparse


def regional(
    inner: Tensor, rest: Tensor, basis: Tensor, count: int, sparsity: float = SPARSITY, kept: float = 0.99
) -> Regional:
    """``count`` directions of a region, of J^T J (K,K) of it and of the rest, in an orthonormal basis (K,D).

    sparsity: see :func:`robust_pca`; in a small basis all of a matrix is sparse to 1, and next to nothing to 3.
    kept: the share of how strongly the rest answers that its subspace holds; what lies outside it is taken for
    its null space.

    Raises: SettingsError: the rest answers to all of the basis, so that it has no null space, or the region to
    nothing.
    """
    low_inner, low_rest = robust_pca(inner, sparsity)[0], robust_pca(rest, sparsity)[0]
    values, vectors = torch.linalg.eigh((low_inner + low_inner.T) / 2)
    rest_values, rest_vectors = torch.linalg.eigh((low_rest + low_rest.T) / 2)
    order, rest_order = values.argsort(descending=True), rest_values.argsort(descending=True)
    sizes = rest_values[rest_order].clamp_min(0)
    total = float(sizes.sum())
    rank = 0 if total <= 0 else int((sizes.cumsum(0) < kept * total).sum()) + 1
    if rank >= len(basis):
        raise SettingsError(
            f"what is outside the mask answers to all of {len(basis)} vectors: nothing can be moved without it; "
            "take a larger basis, by --set basis=, or keep less of it, by --set kept="
        )
    held = rest_vectors[:, rest_order[:rank]]
    free = vectors[:, order[: min(count, int((values > 1e-9 * values.max()).sum()))]]
    left = free - held @ (held.T @ free)
    lengths = left.norm(dim=0)
    useful = lengths > 1e-4
    if values.max() <= 0 or not useful.any():
        raise SettingsError("nothing in the mask changes without what is outside it; draw another mask")
    left = left[:, useful] / lengths[useful]
    wide = basis.double().cpu()
    return Regional((left.T @ wide).float(), (free[:, useful].T @ wide).float(), rank)
