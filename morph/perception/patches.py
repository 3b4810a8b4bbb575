"""What AlexNet sees of a picture, as the patches of a vision transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.perception.lpips import PerceptualDistance

CHANNELS = (64, 192, 384, 256, 256)
"""Of AlexNet's five layers."""


class AlexNetPatches(nn.Module):
    """The patch embedding of a hybrid transformer (Dosovitskiy et al., 2021, arXiv 2010.11929, section 3.1).

    Twenty thousand photographs teach a transformer little. So its patches are what the five layers of an AlexNet
    that has seen a million say of them: the one that LPIPS looks with, which ships in the package. Its weights
    stay as they are.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = PerceptualDistance().trunk
        self.mix = nn.Linear(sum(CHANNELS), width)

    @property
    def weight(self) -> Tensor:
        """Of what is trained: transformers asks it for the dtype that pictures should have."""
        return self.mix.weight

    def forward(self, images: Tensor) -> Tensor:
        """Images (B,3,S,S) in [-1,1] as patches (B,width,S/16,S/16)."""
        # AlexNet pads by less than it strides: with 16 px more there is a patch for every 16
        images = F.interpolate(images, [side + 16 for side in images.shape[2:]], mode="bilinear")
        layers: list[Tensor] = list(self.trunk(images))
        side = layers[-1].shape[2]
        tokens = []
        for layer in layers:
            while layer.shape[2] > side:
                layer = F.max_pool2d(layer, 3, 2)
            tokens.append(F.layer_norm(layer.movedim(1, 3), layer.shape[1:2]))
        return self.mix(torch.cat(tokens, dim=3)).movedim(3, 1)
