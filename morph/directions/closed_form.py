"""Directions that the weights which see a code first answer most, in closed form.

Shen & Zhou, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa), 2021, eq. 5 to 7: with y = A z the
change of y by a step n is |A n|, and the n that change it most are the eigenvectors of A^T A with the largest
eigenvalues. As in their code, what each output of A makes of a code has length 1 first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def factorized(weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Orthonormal vectors (K,D) of weights (O,D), and their eigenvalues (K,), the largest first; K at most D."""
    seen = F.normalize(weights.detach().double().cpu(), dim=1)
    values, vectors = torch.linalg.eigh(seen.T @ seen)
    order = values.argsort(descending=True)[:count]
    return vectors[:, order].T.float(), values[order].float()
