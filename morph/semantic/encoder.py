"""z_sem: what a picture shows, as a small vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.perception.tower import STATISTICS, AlexNetTower

SIDE = 160
"""The root of the area, in pixels, of pictures that are looked at: that of the photographs it is trained on."""


class SemanticEncoder(nn.Module):
    """Pictures to codes z_sem (B,D): a linear layer on what AlexNet, which ships, sees of a whole picture.

    The encoder of a diffusion autoencoder (Preechakul et al., "Diffusion Autoencoders: Toward a Meaningful and
    Decodable Representation", 2022, section 3.2) is a network of its own; twenty thousand photographs teach such a
    one little, and AlexNet has seen a million. ``mean`` and ``deviation`` (D,) are those of photographs' codes:
    codes are given in these units, as the paper has it for classifiers and for sampling.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tower = AlexNetTower()
        self.projection = nn.Linear(STATISTICS, width)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def raw(self, statistics: Tensor) -> Tensor:
        """What AlexNet sees of B pictures (B,2304) to codes (B,D) in units of their own."""
        code: Tensor = self.projection(self.tower.standardize(statistics))
        return code

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Codes (B,D) of pictures (B,3,H,W) in [-1,1]; a usual one is normal in every direction."""
        scale = SIDE / math.sqrt(pictures.shape[2] * pictures.shape[3])
        sides = [max(1, round(side * scale)) for side in pictures.shape[2:]]
        small = F.interpolate(pictures.float(), sides, mode="bicubic", antialias=True).clamp(-1, 1)
        statistics = self.tower.statistics(small.to(self.mean.device))
        return (self.raw(statistics) - self.mean) / self.deviation

    def original(self, codes: Tensor) -> Tensor:
        """Codes (B,D), as :meth:`forward` gives them, in units of their own: what the denoiser is told."""
        return codes * self.deviation + self.mean
