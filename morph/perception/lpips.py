"""LPIPS: how different two images look (Zhang et al., 2018, arXiv 1801.03924), AlexNet, version 0.1.

The distance is the sum over five AlexNet layers of sum_c w_c (f_c(a) - f_c(b))^2, averaged over the layer's
pixels, where f is the layer's output scaled to unit length along its channels and w >= 0 is learned (eq. 1).
That is a squared Euclidean distance once sqrt(w_c / pixels) is folded into f. So an image is looked at
once, becomes one vector, and any two vectors can be compared at the price of a subtraction.
"""

import warnings
from pathlib import Path
from typing import Self

import lpips
import torch
from torch import Tensor, nn

from morph.perception.trunks import read_trunk

_RANGE_SLACK = 0.01  # rounding in half precision, not a wrong convention
MIN_SIZE = 32  # below it AlexNet's second pooling has nothing left to pool
_BATCH = 16  # images per pass: bounds the memory of a long video, costs no speed


class PerceptualDistance:
    """LPIPS-Alex in raw units: 0 for equal images, about 0.7 for unrelated ones.

    Made without network or global side effects: the trunk's weights ship with the package, the heads with
    the ``lpips`` package. Everything runs in float32 and without gradients.

    Raises:
        ModelError: the trunk's weights are missing or are not the ones this code was written for.
    """

    def __init__(self) -> None:
        self._model = _build(read_trunk("alexnet"))
        self._device = torch.device("cpu")

    def to(self, device: torch.device | str) -> Self:
        """Move to ``device``, in place; images are brought there when they are given."""
        self._device = torch.device(device)
        self._model.to(self._device)
        return self

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (B,) between images (B,3,H,W) in [-1,1], pair by pair.

        Raises:
            ValueError: wrong shape, smaller than 32 px, or values outside [-1,1].
        """
        return self.between(self.features(a), self.features(b))

    def consecutive(self, images: Tensor) -> Tensor:
        """Distances (N-1,) between neighbours of images (N,3,H,W) in [-1,1]; each is looked at once.

        Fewer than two images have no neighbours: the result is empty.
        """
        gaps = [torch.zeros(0, device=self._device)]
        previous = None
        for batch in images.split(_BATCH):
            features = self.features(batch)
            if previous is not None:
                features = torch.cat([previous, features])
            gaps.append(self.between(features[:-1], features[1:]))
            previous = features[-1:]
        return torch.cat(gaps)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean distance of images (B,3,H,W) in [-1,1], pair by pair, with gradients to ``a``: to train on."""
        return self.between(self._features(a), self.features(b)).mean()

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Images (B,3,H,W) in [-1,1] as vectors (B,D) for :meth:`between`; row i belongs to image i.

        Keep rows, pick them, concatenate them. D depends on the image size alone: 7 MB a frame at 512 px.

        Raises:
            ValueError: wrong shape, smaller than 32 px, or values outside [-1,1].
        """
        return self._features(images)

    def layers(self, images: Tensor) -> list[Tensor]:
        """What AlexNet's five layers say of images (B,3,H,W) in [-1,1]: (B,C,h,w) each, with gradients."""
        _check(images)
        return list(self.trunk(images.to(self._device, torch.float32)))

    @property
    def trunk(self) -> nn.Module:
        """AlexNet as it was trained on ImageNet: images (B,3,H,W) in [-1,1] to its five layers, (B,C,h,w) each."""
        return nn.Sequential(self._model.scaling_layer, self._model.net)

    def _features(self, images: Tensor) -> Tensor:
        vectors = []
        for layer, head in zip(self.layers(images), self._model.lins, strict=True):
            weight = head.model[-1].weight[0]  # (C,1,1)
            used_channels = weight.flatten() > 0  # half of the first layer's channels have no say
            scale = (weight[used_channels] / layer.shape[2:].numel()).sqrt()
            vectors.append((lpips.normalize_tensor(layer)[:, used_channels] * scale).flatten(1))
        return torch.cat(vectors, dim=1)

    @staticmethod
    def between(a: Tensor, b: Tensor) -> Tensor:
        """Distances (B,) between feature rows (B,D) and (B,D); one row (1,D) is compared with all."""
        return (a - b).square().sum(dim=1)


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MIN_SIZE:
        raise ValueError(f"LPIPS wants images (B,3,H,W) of at least {MIN_SIZE} px, got shape {tuple(images.shape)}")
    if images.numel() == 0:
        return
    low, high = (value.item() for value in images.aminmax())
    if not (low >= -1 - _RANGE_SLACK and high <= 1 + _RANGE_SLACK):  # also catches NaN
        raise ValueError(f"LPIPS wants values in [-1,1], got {low:.3g} to {high:.3g}")


def _build(trunk: dict[str, Tensor]) -> lpips.LPIPS:
    with torch.device("meta"), warnings.catch_warnings():  # a random start is not wanted, and takes half a second
        for warning in ("The parameter 'pretrained' is deprecated", "Arguments other than a weight enum"):
            warnings.filterwarnings("ignore", message=warning, category=UserWarning, module="torchvision")
        model = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
    model.scaling_layer = lpips.ScalingLayer()
    model.net.load_state_dict({name: value.float() for name, value in trunk.items()}, assign=True)
    heads = torch.load(Path(lpips.__file__).parent / "weights/v0.1/alex.pth", "cpu", weights_only=True)
    for number, head in enumerate(model.lins):
        head.model[-1].load_state_dict({"weight": heads[f"lin{number}.model.1.weight"]}, assign=True)
    return model.eval().requires_grad_(False)
