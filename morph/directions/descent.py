"""What ways of finding directions by descent have in common."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator as Steps
from dataclasses import dataclass

import torch
from torch import Tensor

from morph import random
from morph.directions.directions import Straight, of_its_length
from morph.directions.generator import Points

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of points that are moved: their rows (B,), the amounts (B,) by which, and the shifts (B,D) of their codes."""


@dataclass(frozen=True)
class Fit:
    """steps of ``batch`` pictures each, at a learning rate; seed: of which pictures, and how far each is moved."""

    steps: int
    batch: int
    rate: float
    seed: int

    def rows(self, count: int, step: int, purpose: str) -> Tensor:
        """Which of ``count`` points a step is of: all come up equally often."""
        place = step * self.batch + torch.arange(min(self.batch, count))
        epochs = {int(epoch): self._order(count, int(epoch), purpose) for epoch in (place // count).unique()}
        return torch.stack([epochs[int(one // count)][int(one % count)] for one in place])

    def _order(self, count: int, epoch: int, purpose: str) -> Tensor:
        return torch.randperm(count, generator=random.generator(self.seed, f"{purpose} rows", epoch))

    def uniform(self, count: int, low: float, high: float, step: int, purpose: str) -> Tensor:
        """Numbers (count,) from low to high."""
        drawn = torch.rand(count, generator=random.generator(self.seed, purpose, step))
        return low + (high - low) * drawn

    def choices(self, count: int, of: int, step: int, purpose: str) -> Tensor:
        """Whole numbers (count,) below ``of``; all come up about equally often."""
        drawn = torch.randint(of, (), generator=random.generator(self.seed, f"{purpose} first", step))
        stride = max(1, of // count)
        jitter = torch.randint(stride, (count,), generator=random.generator(self.seed, purpose, step))
        return (drawn + torch.arange(count) * stride + jitter) % of


def amounts_of(fit: Fit, count: int, step: int, purpose: str) -> Tensor:
    """Amounts (count,) from -1 to 1, half of them below 0, none near 0 alone."""
    sizes = fit.uniform(count, 0.25, 1, step, f"{purpose} amounts")
    return sizes * torch.where((torch.arange(count) + step) % 2 == 0, 1.0, -1.0)


def descended(points: Points, fit: Fit, purpose: str, loss: Loss) -> Steps[float, None, Straight]:
    """The one direction that makes a loss least, from points that are drawn over and over; yields losses.

    It is found in units of how far codes lie apart, and has the length that an amount of 1 goes.
    """
    scale = points.codes.std(0).norm().clamp_min(1e-6)
    way = torch.zeros(1, points.codes.shape[1], device=points.codes.device, requires_grad=True)
    optimizer = torch.optim.Adam([way], lr=fit.rate)
    for step in range(fit.steps):
        rows = fit.rows(len(points), step, purpose)
        amounts = amounts_of(fit, len(rows), step, purpose).to(way.device)
        with torch.enable_grad():
            lost = loss(rows, amounts, amounts[:, None] * way * scale)
            lost.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield float(lost.detach())
    return of_its_length(way * scale)
