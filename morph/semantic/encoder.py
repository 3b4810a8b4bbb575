"""z_sem: what a picture shows, as a small vector."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.perception.tower import CHANNELS, AlexNetTower

SIDE = 160
"""The root of the area, in pixels, of pictures that are looked at: that of the photographs it is trained on."""

MOST_LEVELS = len(CHANNELS)
"""A level's code is read from at least one of AlexNet's layers."""


class SemanticEncoder(nn.Module):
    """Pictures to codes z_sem (B,D): linear layers on what AlexNet, which ships, sees of a whole picture.

    The encoder of a diffusion autoencoder (Preechakul et al., "Diffusion Autoencoders: Toward a Meaningful and
    Decodable Representation", 2022, section 3.2) is a network of its own; twenty thousand photographs teach such a
    one little, and AlexNet has seen a million.

    A code is a stack of one for each level of the U-Net (Lu et al., "Hierarchical Diffusion Autoencoders and
    Disentangled Image Manipulation", 2023), ``width`` numbers each, the finest first: fine ones are read from
    AlexNet's first layers, where colours and textures are, and coarse ones from its last. With one level it is the
    single code of the former paper.

    ``mean`` and ``deviation`` (D,) are those of photographs' codes: codes are given in these units, as the papers
    have it for classifiers and for sampling.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, levels: int = 1) -> None:
        super().__init__()
        self.tower = AlexNetTower()
        self.seen = seen(levels)
        self.projections = nn.ModuleList(nn.Linear(len(columns), width) for columns in self.seen)
        self.register_buffer("mean", torch.zeros(levels * width))
        self.register_buffer("deviation", torch.ones(levels * width))

    def raw(self, statistics: Tensor) -> Tensor:
        """What AlexNet sees of B pictures (B,2304) to codes (B,D) in units of their own."""
        standard = self.tower.standardize(statistics)
        parts = zip(self.projections, self.seen, strict=True)
        return torch.cat([projection(standard[:, columns]) for projection, columns in parts], dim=1)

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


def seen(levels: int) -> list[list[int]]:
    """Which of AlexNet's statistics each level reads, finest first: its five layers, shared out in their order.

    Raises:
        ValueError: more levels than layers, or none.
    """
    count = MOST_LEVELS
    if not 1 <= levels <= count:
        raise ValueError(f"codes have 1 to {count} levels, not {levels}")
    starts = [0, *itertools.accumulate(CHANNELS)]
    halves = (0, starts[-1])  # means, then maxima
    shares = [range(level * count // levels, (level + 1) * count // levels) for level in range(levels)]
    spans = [(starts[share.start], starts[share.stop]) for share in shares]
    return [[half + column for half in halves for column in range(*span)] for span in spans]
