"""The two ends of a small CLIP: what AlexNet sees of a picture, and a perceptron on what a text tower says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.perception.lpips import PerceptualDistance

if TYPE_CHECKING:
    from transformers.modeling_outputs import BaseModelOutputWithPooling

CHANNELS = (64, 192, 384, 256, 256)
"""Of AlexNet's five layers."""
STATISTICS = 2 * sum(CHANNELS)
"""Numbers that say what AlexNet sees of a picture: the mean and the maximum of every channel."""
LARGER = 1.6
"""How much larger AlexNet sees pictures: it learnt what things look like at about this size."""
UNUSUAL = 6.0
"""Standard deviations beyond which a number says no more."""


class AlexNetTower(nn.Module):
    """Stands where a transformers CLIP has its vision transformer.

    Twenty thousand photographs teach a transformer little. So this one looks with an AlexNet that has seen a
    million: that of LPIPS, which ships in the package. Its weights stay as they are. What it says of a picture are
    the mean and the maximum of every channel of its five layers, each in units of ``deviation`` from ``mean``
    (2304,); that a linear projection is all that follows keeps it from learning its photographs by heart.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.trunk = PerceptualDistance().trunk
        self.register_buffer("mean", torch.zeros(STATISTICS))
        self.register_buffer("deviation", torch.ones(STATISTICS))
        self.dropout = nn.Dropout(0.4)

    def statistics(self, images: Tensor) -> Tensor:
        """What AlexNet sees of images (B,3,S,S) in [-1,1]: (B,2304) float32; gradients pass."""
        images = F.interpolate(images.float(), [round(LARGER * side) for side in images.shape[2:]], mode="bilinear")
        layers: list[Tensor] = list(self.trunk(images))
        normed = [F.layer_norm(layer.movedim(1, 3), layer.shape[1:2]) for layer in layers]
        return torch.cat(
            [*(layer.mean((1, 2)) for layer in normed), *(layer.amax((2, 3)) for layer in layers)], dim=1
        )

    def standardize(self, statistics: Tensor) -> Tensor:
        """Statistics (B,2304) in standard deviations from what is usual."""
        return self.dropout(((statistics - self.mean) / self.deviation).clamp(-UNUSUAL, UNUSUAL))

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Images (B,3,S,S) in [-1,1] as transformers' CLIP wants them of its vision tower."""
        from transformers.modeling_outputs import BaseModelOutputWithPooling  # what needs no CLIP needs none of it

        return BaseModelOutputWithPooling(pooler_output=self.standardize(self.statistics(pixel_values)))


class TextPerceptron(nn.Sequential):
    """Stands where a transformers CLIP has its linear projection of texts: (N,D) to (N,out).

    A text tower that also serves a denoiser says nearly the same of rare words, and has fewer dimensions than there
    are things to tell apart. Four times as many, bent, put every thing into a direction of its own.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, out, bias=False))

    @property
    def _first_layer(self) -> nn.Linear:
        layer = self[0]
        assert isinstance(layer, nn.Linear)
        return layer

    @torch.no_grad()
    def whiten(self, features: Tensor) -> None:
        """Make these texts (N,D) differ as much in every direction of what the first layer says of them."""
        layer, mean = self._first_layer, features.mean(0)
        _, singular_values, axes = torch.linalg.svd((features - mean).double(), full_matrices=False)
        whitened = (axes.T @ torch.diag(1 / (singular_values / singular_values[0] + 1e-3)) @ axes).float()
        weight = torch.randn_like(layer.weight) @ whitened
        layer.weight.copy_(weight / ((features - mean) @ weight.T).std(0).mean())
        layer.bias.copy_(-layer.weight @ mean)
