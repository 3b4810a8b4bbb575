"""Means around every place of a picture."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def local_mean(values: Tensor, window: int) -> Tensor:
    """Means (B,C,H,W) of values (B,C,H,W) around every place, twice over an odd ``window`` of pixels either way.

    What is beyond a border does not count.
    """
    for kernel in ((window, 1), (1, window)) * 2:
        padding = [side // 2 for side in kernel]
        values = F.avg_pool2d(values, kernel, 1, padding, count_include_pad=False)
    return values
