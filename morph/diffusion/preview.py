"""What clean latents look like, for a glance while they are made: no decoder is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from morph.media.keyframe import to_uint8


@dataclass(frozen=True)
class Preview:
    """An affine map from a place of latents to its mean colour: ``weights`` (C+1,3) float64, the last one constant.

    Latents of an autoencoder hold colours nearly linearly, whatever the model.
    """

    weights: Tensor

    @classmethod
    def fit(cls, latents: Tensor, pixels: Tensor) -> Self:
        """The map that is right of known pictures (K,3,H,W) in [-1,1], which have the clean latents (K,C,h,w).

        By least squares over all of their places; where these leave some of the weights open, the smallest.
        """
        colours = F.interpolate(pixels.detach().cpu().double(), latents.shape[2:], mode="area")
        fitted = torch.linalg.lstsq(_as_rows(latents), colours.permute(0, 2, 3, 1).flatten(0, 2), driver="gelsd")
        return cls(fitted.solution)

    def image(self, clean: Tensor) -> Image.Image:
        """A picture of clean latents (1,C,h,w), of w x h pixels: one for each of their places."""
        colours = (_as_rows(clean) @ self.weights).unflatten(0, clean.shape[2:])
        return Image.fromarray(to_uint8(colours.permute(2, 0, 1)[None])[0])


def _as_rows(latents: Tensor) -> Tensor:
    """Latents (K,C,h,w) as rows (K*h*w,C+1), float64 on the CPU, a one after each."""
    rows = latents.detach().cpu().double().permute(0, 2, 3, 1).flatten(0, 2)
    return F.pad(rows, (0, 1), value=1)
