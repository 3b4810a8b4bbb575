"""The direction in which codes tell two kinds of pictures apart."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def direction(without: Tensor, having: Tensor, decay: float = 1e-2, sparsity: float = 0.0) -> Tensor:
    """The unit vector (D,) across which codes (N,D) of pictures without a thing and (M,D) having it are told apart.

    That of a logistic regression, each kind counting the same however many there are of it (Preechakul et al.,
    2022): an edit is the code plus some of it. ``decay`` is the weight of the squared length of its coefficients,
    and ``sparsity`` that of the sum of their sizes, by which few numbers of a code are moved and the others not at
    all. Lu et al., "Hierarchical Diffusion Autoencoders and Disentangled Image Manipulation", 2023, keep the
    largest ones of a dense direction to the same end.

    Raises:
        ValueError: no codes of one kind, or so much sparsity that nothing is left.
    """
    from scipy.optimize import minimize

    if not len(without) or not len(having):
        raise ValueError("a direction needs codes of both kinds")
    codes = torch.cat([without, having]).detach().double().cpu().numpy()
    sides = np.repeat([-1.0, 1.0], [len(without), len(having)])
    counts = np.repeat([0.5 / len(without), 0.5 / len(having)], [len(without), len(having)])
    width = codes.shape[1]

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        # a coefficient is what is above 0 of it less what is below: at 0 of both the sum of sizes has a slope
        more, less, offset = values[:width], values[width:-1], values[-1]
        coefficients = more - less
        scores = sides * (codes @ coefficients + offset)
        wrong = counts @ np.logaddexp(0, -scores)
        pull = -counts * sides / (1 + np.exp(np.clip(scores, -500, 500)))
        slope = codes.T @ pull + 2 * decay * coefficients
        total = wrong + decay * coefficients @ coefficients + sparsity * (more.sum() + less.sum())
        return float(total), np.concatenate([slope + sparsity, -slope + sparsity, [pull.sum()]])

    bounds = [(0, None)] * (2 * width) + [(None, None)]
    found = minimize(loss, np.zeros(2 * width + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    coefficients = torch.from_numpy(found.x[:width] - found.x[width:-1])
    if not coefficients.any():
        if not sparsity:
            raise ValueError("the codes of both kinds are the same in the mean: give other pictures")
        raise ValueError("the sparsity leaves no number of a code that moves; take less")
    return F.normalize(coefficients, dim=0).float()
