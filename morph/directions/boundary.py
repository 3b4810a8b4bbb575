"""The direction across the boundary between codes that have something and codes that do not.

Shen, Yang, Tang & Zhou, "InterFaceGAN: Interpreting the Disentangled Face Representation Learned by GANs", 2020:
a linear support vector machine between the codes with the largest and with the smallest scores; the normal of its
boundary is the direction, and less what it has of another's (section 3.2), it leaves that other thing alone.
Published: 500,000 samples, the top and the bottom 2 % of them, 70 % of these to fit and 30 % to check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from morph import random
from morph.directions.directions import check_spread
from morph.errors import SettingsError
from morph.semantic.classifier import direction

FITTED = 0.7
"""The share of the codes that the boundary is fitted to; the others check it."""
FEWEST = 4
"""Codes of either side: below it nothing is left to check."""


@dataclass(frozen=True)
class Boundary:
    """normal: a unit vector (D,), towards those that have it. accuracy: of codes that it was not fitted to."""

    normal: Tensor
    accuracy: float


def extremes(scores: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Rows of the ``share`` of N scores (N,) that are largest, and of that which are smallest.

    Raises:
        SettingsError: too few of either.
    """
    count = int(len(scores) * share)
    if count < FEWEST or 2 * count > len(scores):
        raise SettingsError(
            f"{share:g} of {len(scores)} samples is {count}; a boundary needs {FEWEST} of either side: "
            "draw more, by --samples, or take a larger share, by --set share="
        )
    order = scores.argsort(descending=True)
    return order[:count], order[-count:]


def separated(having: Tensor, lacking: Tensor, seed: int, penalty: float = 1.0) -> Boundary:
    """The boundary between codes (N,D) that have something and codes (M,D) that lack it.

    Raises:
        SettingsError: too few of either, or codes that are all the same.
    """
    fitted, checked = _fitted_and_checked(having, lacking, seed)
    codes = torch.cat(fitted).double().cpu().numpy()
    sides = np.repeat([1.0, -1.0], [len(part) for part in fitted])
    middle = codes.mean(0)
    spread = float((codes - middle).std()) or 1.0
    normal, offset = support_vectors((codes - middle) / spread, sides, penalty)
    answers = [((part.double().cpu().numpy() - middle) / spread) @ normal + offset for part in checked]
    right = int((answers[0] > 0).sum()) + int((answers[1] < 0).sum())
    accuracy = right / sum(map(len, checked))
    return Boundary(F.normalize(torch.from_numpy(normal), dim=0).float(), accuracy)


def classified(having: Tensor, lacking: Tensor, seed: int, decay: float, sparsity: float) -> Boundary:
    """The same by the logistic regression of :func:`morph.semantic.classifier.direction`.

    accuracy: at the threshold halfway between the means of either, of the codes that are kept to check.

    Raises:
        SettingsError: as :func:`separated`; or so much sparsity that no number of a code is left.
    """
    (has, lacks), checked = _fitted_and_checked(having, lacking, seed)
    try:
        normal = direction(lacks, has, decay, sparsity).to(has)
    except ValueError as error:
        raise SettingsError(f"{error}, by --set sparsity=" if sparsity else str(error)) from None
    middle = (has.mean(0) + lacks.mean(0)) @ normal / 2
    right = int((checked[0] @ normal > middle).sum()) + int((checked[1] @ normal < middle).sum())
    return Boundary(normal.cpu(), right / sum(map(len, checked)))


def _fitted_and_checked(having: Tensor, lacking: Tensor, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Of both kinds, having first, the codes that a boundary is fitted to, and those that check it."""
    if min(len(having), len(lacking)) < FEWEST:
        raise SettingsError(
            f"{len(having)} that have it and {len(lacking)} that lack it: a boundary needs {FEWEST} of each"
        )
    check_spread(torch.cat([having, lacking]))
    parts = [_parted(codes, seed, purpose) for codes, purpose in ((having, "having"), (lacking, "lacking"))]
    return [part[0] for part in parts], [part[1] for part in parts]


def support_vectors(
    codes: NDArray[np.float64], sides: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """Normal (D,) and offset of a linear support vector machine for codes (N,D) on sides +1 and -1 (N,).

    It makes |w|^2 / 2 + penalty * sum max(0, 1 - side (w x + b))^2 least: the hinge is squared, as scikit-learn's
    LinearSVC has it, so that a quasi-Newton method of SciPy's finds it. The published hinge is not.
    """
    from scipy.optimize import minimize

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        normal, offset = values[:-1], values[-1]
        short = np.maximum(0.0, 1 - sides * (codes @ normal + offset))
        pull = -2 * penalty * short * sides
        gradient = np.append(normal + codes.T @ pull, pull.sum())
        return float(normal @ normal / 2 + penalty * (short @ short)), gradient

    found = minimize(loss, np.zeros(codes.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return found.x[:-1], float(found.x[-1])


def apart(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """What is left of a vector (D,) without what it has of others (D,) each, of length 1.

    n_1 - (n_1 . n_2) n_2 for one other; of several, the part that is orthogonal to all.

    Raises:
        SettingsError: nothing is left.
    """
    left = vector.double()
    if others:
        _, sizes, basis = torch.linalg.svd(torch.stack(list(others)).double(), full_matrices=False)
        basis = basis[sizes > 1e-6 * sizes.max()]  # of others that lie in one another there are fewer
        left = left - basis.T @ (basis @ left)
    if float(left.norm()) < 1e-6 * float(vector.double().norm()):
        raise SettingsError("the direction lies in those that it should be apart from: nothing is left of it")
    return F.normalize(left, dim=0).float()


def _parted(codes: Tensor, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Codes to fit and codes to check, by a seed; one at least of each."""
    order = torch.randperm(len(codes), generator=random.generator(seed, f"boundary {purpose}"))
    count = min(len(codes) - 1, max(1, round(FITTED * len(codes))))
    rows = order.to(codes.device)
    return codes[rows[:count]], codes[rows[count:]]
