"""What fits to a photograph have in common: which timesteps they see, and when they are done."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from morph import random

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, fill [0,1) evenly however many there are."""


def spread(count: int, step: int, seed: int, purpose: str) -> Tensor:
    """The ``count`` numbers (count,) in [0,1) of this step, float64.

    A low-discrepancy sequence from a random start: it covers the interval evenly over any window of steps, and
    so keeps a smoothed loss comparable.
    """
    offset = float(torch.rand((), generator=random.generator(seed, purpose)))
    return (offset + (torch.arange(count, dtype=torch.float64) + step * count) * GOLDEN) % 1


def plateau(losses: Sequence[float], window: int, tolerance: float) -> bool:
    """Whether the mean of the last ``window`` losses is not at least ``tolerance`` (a share) below the one before.

    A tolerance of 0 never stops early.
    """
    if tolerance <= 0 or len(losses) < 2 * window:
        return False
    earlier_sum, latest_sum = sum(losses[-2 * window : -window]), sum(losses[-window:])
    return latest_sum > earlier_sum * (1 - tolerance)
