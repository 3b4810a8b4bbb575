"""Pictures carried along a flow to where it leads, by softmax splatting.

Niklaus & Liu, "Softmax Splatting for Video Frame Interpolation", CVPR 2020, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor


def splatted(values: Tensor, flow: Tensor, metric: Tensor) -> Tensor:
    """Values (B,C,h,w) moved by a flow (B,2,h,w), x and y in cells: (B,C,h,w), 0 where nothing comes to.

    A cell goes to the four around its place, by bilinear weights. What comes to one is averaged with weights
    exp(metric), of (B,1,h,w), so that the highest stays on top; what leaves the picture is lost. A channel of ones
    tells where anything has come to.
    """
    device = values.device
    values, flow, metric = values.cpu(), flow.cpu(), metric.cpu()  # a GPU adds in no fixed order
    count, _, height, width = values.shape
    weight = metric.exp()
    weighted = torch.cat([values * weight, weight.expand(count, -1, -1, -1)], 1).flatten(2)
    rows, columns = (torch.arange(side) for side in (height, width))
    x, y = flow[:, 0] + columns, flow[:, 1] + rows[:, None]
    summed = torch.zeros_like(weighted)
    for column in (x.floor(), x.floor() + 1):
        for row in (y.floor(), y.floor() + 1):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            share = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside
            cells = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)
            summed.scatter_add_(2, cells[:, None].expand_as(weighted), weighted * share.flatten(1)[:, None])
    sums, weights = summed.unflatten(2, (height, width)).tensor_split([-1], 1)
    return (sums / torch.where(weights > 0, weights, 1)).to(device)
