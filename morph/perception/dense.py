"""What networks see at every place of a picture, to tell which places of two pictures show the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random
from morph.diffusion.model import LatentDiffusion, computes_in_bfloat16
from morph.perception.lpips import PerceptualDistance
from morph.perception.trunks import read_trunk

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the photographs of ImageNet, in [0,1]."""


class Looker(Protocol):
    """Sees a picture; ``name`` says with what."""

    name: str

    def __call__(self, picture: Tensor) -> Sequence[tuple[float, Tensor]]:
        """Layers (1,C,h,w) of a picture (1,3,H,W) in [-1,1], from fine to coarse, and how much each counts."""


class Vgg16:
    """VGG16 (Simonyan & Zisserman, 2015), trained on ImageNet: the last layers of its second to fifth stages.

    With ``bfloat16``, by default where the device has instructions for it, it looks twice as fast, and what it sees
    is the same to half a percent.
    """

    name = "vgg16"
    LAYERS = ((8, 0.3), (15, 1.0), (22, 1.0), (29, 0.3))
    """The numbers of layers in torchvision's network, and how much each counts."""

    def __init__(self, device: torch.device | str = "cpu", bfloat16: bool | None = None) -> None:
        from torchvision.models import vgg16

        with torch.device("meta"):  # a random start is not wanted, and takes a second
            self._layers: nn.Module = vgg16(weights=None).features
        self._bfloat16 = computes_in_bfloat16(torch.device(device)) if bfloat16 is None else bfloat16
        weights = {name: value.float().to(device) for name, value in read_trunk("vgg16").items()}
        self._layers.load_state_dict(weights, assign=True)
        self._layers.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # faster on a CPU

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> list[tuple[float, Tensor]]:
        """See :class:`Looker`."""
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        x = ((picture.cpu().float() + 1) / 2 - mean) / deviation
        device = next(self._layers.parameters()).device
        x, features, layer_weights = x.to(device), [], dict(self.LAYERS)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16):
            for index, layer in enumerate(self._layers.children()):
                x = layer(x)
                if index in layer_weights:
                    features.append((layer_weights[index], x.to("cpu", torch.float32, copy=True)))
        return features


class AlexNet:
    """LPIPS's AlexNet, its second to fifth layers, at twice the picture's size: its own strides are coarse."""

    name = "alexnet"
    LAYER_WEIGHTS = (0.3, 0.5, 0.7, 0.7)

    def __init__(self, perception: PerceptualDistance) -> None:
        self._perception = perception

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> list[tuple[float, Tensor]]:
        """See :class:`Looker`."""
        doubled = F.interpolate(picture, scale_factor=2, mode="bicubic", align_corners=False).clamp(-1, 1)
        return list(
            zip(self.LAYER_WEIGHTS, (layer.cpu() for layer in self._perception.layers(doubled)[1:]), strict=True)
        )


class Denoiser:
    """The denoiser that makes the frames, its middle layers, of a picture with a little noise.

    Tang et al., "Emergent Correspondence from Image Diffusion", 2023 (DIFT): the mean of several noises.
    """

    name = "unet"
    TIME = 0.261
    """Of all times that the denoiser was trained at, in their order."""
    NOISES = 4

    def __init__(self, model: LatentDiffusion) -> None:
        self._model = model

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> list[tuple[float, Tensor]]:
        """See :class:`Looker`."""
        model = self._model
        clean = model.encode(picture)
        noise = random.normal((self.NOISES, *clean.shape[1:]), 0, "correspondence").to(clean)
        t = round(self.TIME * model.schedule.length)
        noisy = model.schedule.noise(clean.expand(self.NOISES, -1, -1, -1), noise, t)
        layers = model.way_up(noisy, t, model.embed([""]))
        return [(1.0, layer.float().mean(0, keepdim=True).cpu()) for layer in reversed(layers)]
