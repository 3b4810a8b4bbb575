"""What is coarse in pictures or latents, and what is fine: the coarse part is linear, and the rest is the fine."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def low_pass(values: Tensor, width: float) -> Tensor:
    """Values (B,C,h,w) made smaller by ``width`` and large again, both bicubic: phi_N of ILVR.

    At least one cell is left of a side. A ``width`` of 1 or less changes nothing.
    """
    if width <= 1:
        return values
    height, breadth = (max(1, round(side / width)) for side in values.shape[-2:])
    small = F.interpolate(values, (height, breadth), mode="bicubic", antialias=True, align_corners=False)
    return F.interpolate(small, values.shape[-2:], mode="bicubic", align_corners=False)


def blurred(values: Tensor, sigma: float) -> Tensor:
    """Values (B,C,h,w) under a Gaussian whose deviation is ``sigma`` cells, as mirrored at the edges.

    0 changes nothing; what is wider than a picture leaves its mean, nearly.
    """
    if sigma <= 0:
        return values
    for axis in (-2, -1):
        values = _along(values, axis, sigma)
    return values


def _along(values: Tensor, axis: int, sigma: float) -> Tensor:
    """By a matrix of the axis' length, which knows every mirror image of a cell that matters."""
    length = values.shape[axis]
    sigma = min(sigma, 2.0 * length)  # wider is as flat
    reach = int(4 * sigma) + 1
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-places.square() / (2 * sigma**2))
    kernel /= kernel.sum()
    seen = (torch.arange(length)[:, None] + torch.arange(-reach, reach + 1)) % (2 * length)
    seen = torch.where(seen < length, seen, 2 * length - 1 - seen)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    matrix.scatter_add_(1, seen, kernel.expand(length, -1))
    matrix = matrix.to(values)
    return matrix @ values if axis == -2 else values @ matrix.T
