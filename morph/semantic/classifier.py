"""The direction in which codes tell two kinds of pictures apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.enable_grad()
def direction(without: Tensor, having: Tensor, decay: float = 1e-2) -> Tensor:
    """The unit vector (D,) across which codes (N,D) of pictures without a thing and (M,D) having it are told apart.

    That of a logistic regression, each kind counting the same however many there are of it (Preechakul et al.,
    2022, section 5.2): an edit is the code plus some of it. ``decay`` is the weight of the squared length of its
    coefficients.

    Raises:
        ValueError: no codes of one kind.
    """
    if not len(without) or not len(having):
        raise ValueError("a direction needs codes of both kinds")
    codes = torch.cat([without, having]).detach().double()
    wanted = torch.cat([codes.new_zeros(len(without)), codes.new_ones(len(having))])
    counts = torch.where(wanted > 0, 0.5 / len(having), 0.5 / len(without))
    coefficients = codes.new_zeros(codes.shape[1] + 1).requires_grad_()
    optimizer = torch.optim.LBFGS([coefficients], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = codes @ coefficients[:-1] + coefficients[-1]
        wrong = F.binary_cross_entropy_with_logits(scores, wanted, weight=counts, reduction="sum")
        total = wrong + decay * coefficients[:-1].square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    return F.normalize(coefficients.detach()[:-1], dim=0).float()
