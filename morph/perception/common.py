"""What two pictures have in common at every place, as a network sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.perception.dense import Looker

SIDE = 256
"""The root of the area, in pixels, of the pictures that are compared; their sides are multiples of STRIDE."""
STRIDE = 16
COMPONENTS = 64
"""Main components of a layer that are kept, and then of all layers together."""


class Sights:
    """Two pictures (1,3,H,W) in [-1,1] as a network sees them at several sizes; each is looked at once."""

    def __init__(self, first: Tensor, second: Tensor, look: Looker) -> None:
        self.name = look.name
        self._pictures = first, second, second.flip(3)
        self._look = look
        self._seen: dict[tuple[int, float], Sequence[tuple[float, Tensor]]] = {}

    def common(self, sides: tuple[float, float], mirrored: bool = False) -> list[tuple[float, Tensor]]:
        """What they have in common, the first and the second reduced to squares of ``sides`` pixels, or as large.

        mirrored: the second one flipped left to right.
        """
        return _common_layers(self._layers(0, sides[0]), self._layers(2 if mirrored else 1, sides[1]))

    def _layers(self, which: int, side: float) -> Sequence[tuple[float, Tensor]]:
        if (which, side) not in self._seen:
            self._seen[which, side] = self._look(_reduced(self._pictures[which], side))
        return self._seen[which, side]


def sides(ratio: float) -> tuple[float, float]:
    """How large two pictures are to be looked at, if things are ``ratio`` times as large in the second."""
    return SIDE * math.sqrt(ratio), SIDE / math.sqrt(ratio)


def _reduced(picture: Tensor, root_area: float) -> Tensor:
    """A picture of about that area."""
    height, width = picture.shape[2:]
    scale = root_area / math.sqrt(height * width)
    size = [max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width)]
    resized = F.interpolate(picture.float(), size=size, mode="bicubic", align_corners=False, antialias=True)
    return resized.clamp(-1, 1)


def _common_layers(
    first: Sequence[tuple[float, Tensor]], second: Sequence[tuple[float, Tensor]]
) -> list[tuple[float, Tensor]]:
    """What two pictures have in common in each layer, and how much it counts: (2,D,h,w) of unit length.

    Each channel is normalised over its own picture, so that another light does not count. Of two sizes, both are
    brought to the one between them.
    """
    common = []
    for (weight, a), (_, b) in zip(first, second, strict=True):
        size = [round(math.sqrt(one * other)) for one, other in zip(a.shape[2:], b.shape[2:], strict=True)]
        both = [
            _normalised(F.interpolate(layer, size=size, mode="bilinear", align_corners=False)) for layer in (a, b)
        ]
        common.append((weight, F.normalize(main_components(torch.cat(both)), dim=1)))
    return common


def main_components(features: Tensor) -> Tensor:
    """The main components (2,D,h,w) of what two pictures have (2,C,h,w)."""
    flattened = features.flatten(2)
    mean = flattened.mean((0, 2))
    second_moment = sum((picture @ picture.T for picture in flattened), torch.tensor(0.0)) / (
        2 * flattened.shape[2]
    )
    covariance = second_moment - mean[:, None] * mean
    # of a picture of one colour most of it is 0, on which the solver fails; this moves no component
    ridge = (1e-6 * covariance.diagonal().mean()).clamp_min(1e-12) * torch.eye(len(covariance))
    components = torch.linalg.eigh(covariance + ridge)[1][:, -COMPONENTS:].T
    return (components @ flattened - (components @ mean)[:, None]).unflatten(2, features.shape[2:])


def _normalised(layer: Tensor) -> Tensor:
    variance, mean = torch.var_mean(layer, (2, 3), keepdim=True)
    return F.normalize((layer - mean) / (variance.sqrt() + 1e-3 * variance.mean().sqrt()), dim=1)
