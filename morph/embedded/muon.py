"""Muon for convolutions and linear layers, AdamW for the rest, in one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.model import computes_in_bfloat16


def orthogonalize(matrix: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix to a gradient (m,n), by a quintic Newton-Schulz iteration.

    In bfloat16 where the device has instructions for it.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16() if computes_in_bfloat16(matrix.device) else matrix
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)


class MuonAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) on weights of two or more dimensions, AdamW on norms, biases and the edges.

    ``edges`` are the first and last layers and embeddings, which see raw data rather than features.
    Both parts share the learning-rate factor that the caller sets as each group's ``factor``.
    """

    def __init__(self, hidden: Iterable[nn.Parameter], edges: Iterable[nn.Parameter]) -> None:
        groups = [
            {"params": list(hidden), "muon": True, "lr": 0.02, "decay": 0.01, "factor": 1.0},
            {"params": list(edges), "muon": False, "lr": 1e-3, "decay": 0.0, "factor": 1.0},
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            rule = self._muon if group["muon"] else self._adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    lr = group["lr"] * group["factor"]
                    parameter.mul_(1 - lr * group["decay"]).add_(rule(parameter), alpha=-lr)

    def _muon(self, parameter: nn.Parameter) -> Tensor:
        state: dict[str, Any] = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum = state["momentum"]
        momentum.lerp_(gradient, 0.05)
        update = gradient.lerp(momentum, 0.95).flatten(1)  # Nesterov
        scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        return (orthogonalize(update) * scale).view_as(parameter)

    def _adamw(self, parameter: nn.Parameter) -> Tensor:
        state: dict[str, Any] = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        if not state:
            state |= {"mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
            state["count"] = torch.zeros(())
        mean, square, count = state["mean"], state["square"], state["count"]
        count += 1
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient.square(), 0.01)
        n = float(count)
        return (mean / (1 - 0.9**n)) / ((square / (1 - 0.99**n)).sqrt() + 1e-8)
