"""Representation alignment: in noise, a block of the denoiser learns to see what VGG16 sees in the photograph.

Yu et al., "Representation Alignment for Generation: Training Diffusion Transformers Is Easier Than You Think", 2025
(arXiv 2410.06940), whose features are DINOv2's, and whose denoiser is a transformer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random
from morph.diffusion.model import LatentDiffusion
from morph.embedded.photographs import Crop, Photograph, cache_maps
from morph.errors import SettingsError
from morph.perception.dense import Vgg16
from morph.perception.trunks import SHA256

WEIGHT = 0.5
"""lambda: what it counts beside the denoiser's own loss."""
CELL, CHANNELS = 16, 128
"""Side of what one feature says, px, and its numbers: with both sizes of photographs 42 kB for each of them."""
WIDTH = 256
"""Of the head's two hidden layers."""
EVERY = 16
"""Photographs from one to the next of those whose features tell the usual ones."""


def cache_targets(data: Path, photographs: Sequence[Photograph], size: int, folder: Path) -> NDArray[np.float16]:
    """What VGG16 sees of whole photographs at ``size`` px: (N,CHANNELS,size/CELL,size/CELL), kept in ``folder``.

    That is its last layer before the last pooling, 512 numbers a place, which a random matrix that is always the
    same takes to CHANNELS: that hardly changes angles (Johnson & Lindenstrauss, 1984). Mirrored as latents are.
    """
    look, matrix = Vgg16(), random.normal((CHANNELS, 512), 0, "repa") / CHANNELS**0.5

    def see(images: Tensor) -> Tensor:
        _, layer = look(images)[-1]
        return torch.einsum("dc,bchw->bdhw", matrix, layer)

    identity = [SHA256["vgg16"].encode(), matrix.numpy().tobytes()]
    shape = (CHANNELS, size // CELL, size // CELL)
    return cache_maps("targets", see, shape, identity, data, photographs, size, folder)


def block_of(model: LatentDiffusion, name: str) -> nn.Module:
    """A block of the denoising U-Net by its name in diffusers: ``mid_block`` or one of ``up_blocks.N``.

    Raises:
        SettingsError: there is no such block.
    """
    network = model.denoiser.network
    known = ["mid_block", *(f"up_blocks.{i}" for i in range(len(network.up_blocks)))]
    if name not in known:
        raise SettingsError(f"the denoiser has no block {name} to align; it has {', '.join(known)}")
    return network.get_submodule(name)


class Alignment:
    """What a block says of noisy latents, and a head that takes it to what VGG16 sees of the photograph.

    The head is trained along with the denoiser, and thrown away. ``targets`` are those of :func:`cache_targets` by
    size. Angles are taken from the usual features, since after a ReLU all point much the same way.
    """

    def __init__(self, block: Any, targets: Mapping[int, NDArray[np.float16]]) -> None:
        channels = block.resnets[-1].out_channels
        self.block: nn.Module = block
        self.head = nn.Sequential(
            *(nn.Conv2d(channels, WIDTH, 1), nn.SiLU(), nn.Conv2d(WIDTH, WIDTH, 1), nn.SiLU()),
            nn.Conv2d(WIDTH, CHANNELS, 1),
        )
        self.targets = targets
        means = [maps[::EVERY].mean((0, 2, 3), dtype=np.float32) for maps in targets.values()]
        self.usual = torch.from_numpy(np.mean(means, axis=0))[:, None, None]

    def target(self, crop: Crop) -> Tensor:
        """What VGG16 sees where a batch of latents was cut, one place a latent: (B,CHANNELS,h,w)."""
        maps = torch.from_numpy(self.targets[crop.size][crop.rows].astype(np.float32))
        return crop.cut(F.interpolate(maps - self.usual, scale_factor=CELL / 8, mode="nearest"))

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        """One minus the mean cosine of the head's answer to features (B,C,h,w) and targets, pooled to (h,w)."""
        height, width = features.shape[2:]
        wanted = F.adaptive_avg_pool2d(target.to(features.device), (height, width))
        return 1 - F.cosine_similarity(self.head(features).float(), wanted, dim=1).mean()
