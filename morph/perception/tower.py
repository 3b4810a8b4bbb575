"""An image tower for a small CLIP: what AlexNet sees of a picture, judged by a perceptron."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutputWithPooling

from morph.perception.lpips import PerceptualDistance

CHANNELS = (64, 192, 384, 256, 256)
"""Of AlexNet's five layers."""
STATISTICS = 2 * sum(CHANNELS)
"""Numbers that say what AlexNet sees of a picture: the mean and the maximum of every channel."""
UNUSUAL = 6.0
"""Standard deviations beyond which a number says no more."""


class AlexNetTower(nn.Module):
    """Stands where a transformers CLIP has its vision transformer.

    Twenty thousand photographs teach a transformer little. So this one looks with an AlexNet that has seen a
    million: that of LPIPS, which ships in the package. Its weights stay as they are. A perceptron judges the mean
    and the maximum of every channel of its five layers, each in units of ``deviation`` from ``mean`` (2304,).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = PerceptualDistance().trunk
        self.register_buffer("mean", torch.zeros(STATISTICS))
        self.register_buffer("deviation", torch.ones(STATISTICS))
        self.projection = nn.Linear(STATISTICS, width)
        self.seen, self.judged = nn.Dropout(0.4), nn.Dropout(0.3)

    @torch.no_grad()
    def statistics(self, images: Tensor) -> Tensor:
        """What AlexNet sees of images (B,3,S,S) in [-1,1]: (B,2304) float32."""
        # AlexNet pads by less than it strides: 16 px more, and it sees to the edge
        images = F.interpolate(images.float(), [side + 16 for side in images.shape[2:]], mode="bilinear")
        layers: list[Tensor] = list(self.trunk(images))
        normed = [F.layer_norm(layer.movedim(1, 3), layer.shape[1:2]) for layer in layers]
        return torch.cat([*(one.mean((1, 2)) for one in normed), *(layer.amax((2, 3)) for layer in layers)], dim=1)

    def judge(self, statistics: Tensor) -> Tensor:
        """Statistics (B,2304) as features (B,width)."""
        standard = (statistics - self.mean) / self.deviation
        return self.judged(F.gelu(self.projection(self.seen(standard.clamp(-UNUSUAL, UNUSUAL)))))

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Images (B,3,S,S) in [-1,1] as transformers' CLIP wants them of its vision tower."""
        return BaseModelOutputWithPooling(pooler_output=self.judge(self.statistics(pixel_values)))
