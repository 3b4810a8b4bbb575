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
    """Two pictures (1,3,H,W) in [-1,1] as a network sees them at several sizes; each is looked at once.

    What they have in common is asked for by the sides, in pixels, of squares as large as the first and the second
    are reduced to; see ``sides``.
    """

    def __init__(self, first: Tensor, second: Tensor, look: Looker) -> None:
        self.name = look.name
        self._pictures = first, second
        self._look = look
        self._seen: dict[tuple[int, int, bool], Sequence[tuple[float, Tensor]]] = {}

    def common(self, sides: tuple[int, int]) -> list[tuple[float, Tensor]]:
        """What both have in common, without the finest layer, if there are others: that helps close to a match."""
        layers = self._layers(sides)
        return [_common(*layer) for layer in layers[1:] or layers]

    def finest(self, sides: tuple[int, int]) -> list[tuple[float, Tensor]]:
        """The layer that ``common`` leaves out, if there is one."""
        layers = self._layers(sides)
        return [_common(*layer) for layer in layers[:1] if len(layers) > 1]

    def mirrored(self, sides: tuple[int, int]) -> list[tuple[float, Tensor]]:
        """As ``common``, one of both flipped left to right: the smaller one, which is looked at sooner."""
        flipped = (True, False) if sides[0] < sides[1] else (False, True)
        layers = self._layers(sides, flipped)
        return [_common(*layer) for layer in layers[1:] or layers]

    def _layers(
        self, sides: tuple[int, int], flipped: tuple[bool, bool] = (False, False)
    ) -> list[tuple[float, Tensor, Tensor]]:
        for which, (side, flip) in enumerate(zip(sides, flipped, strict=True)):
            if (which, side, flip) not in self._seen:
                picture = self._pictures[which]
                self._seen[which, side, flip] = self._look(_reduced(picture.flip(3) if flip else picture, side))
        first, second = (self._seen[which, *how] for which, how in enumerate(zip(sides, flipped, strict=True)))
        return [(weight, a, b) for (weight, a), (_, b) in zip(first, second, strict=True)]


def sides(ratio: float) -> tuple[int, int]:
    """How large two pictures are to be looked at, if things are ``ratio`` times as large in the second."""
    return round(SIDE * math.sqrt(ratio)), round(SIDE / math.sqrt(ratio))


def _reduced(picture: Tensor, root_area: int) -> Tensor:
    """A picture of about that area."""
    height, width = picture.shape[2:]
    scale = root_area / math.sqrt(height * width)
    size = [max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width)]
    resized = F.interpolate(picture.float(), size=size, mode="bicubic", align_corners=False, antialias=True)
    return resized.clamp(-1, 1)


def _common(weight: float, first: Tensor, second: Tensor) -> tuple[float, Tensor]:
    """How much a layer counts, and what two pictures have in common in it: (2,D,h,w) of unit length.

    Each channel is normalised over its own picture, so that another light does not count. Of two sizes, both are
    brought to the one between them.
    """
    size = [round(math.sqrt(one * other)) for one, other in zip(first.shape[2:], second.shape[2:], strict=True)]
    both = [
        _normalised(F.interpolate(layer, size=size, mode="bilinear", align_corners=False))
        for layer in (first, second)
    ]
    return weight, F.normalize(main_components(torch.cat(both)), dim=1)


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
