"""Pictures at another size: reduced by area, which adds no pattern, and enlarged by cubics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # reducing frames needs no torch
    from torch import Tensor

Size = tuple[int, int]
"""(width, height) in pixels."""


def reduced(picture: NDArray[Any], size: Size) -> NDArray[Any]:
    """A picture (H,W,C) of any dtype at ``size``: each pixel the mean of those it covers; itself where it has it.

    Where a side grows nonetheless, cubics fill in, and stay within what the picture holds.
    """
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    if size[0] <= width and size[1] <= height:
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    upscaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
    return upscaled.clip(picture.min(), picture.max())


def reduced_pixels(pixels: Tensor, size: Size) -> Tensor:
    """:func:`reduced` of one picture (1,C,H,W) on the CPU."""
    import torch

    if (pixels.shape[3], pixels.shape[2]) == size:
        return pixels
    resized = reduced(pixels[0].permute(1, 2, 0).contiguous().numpy(), size)
    return torch.from_numpy(np.ascontiguousarray(resized)).permute(2, 0, 1)[None].contiguous()


def enlarged(pixels: Tensor, size: Size) -> Tensor:
    """Pictures (B,C,h,w) at ``size`` by cubics, which overshoot at edges; themselves where they have it."""
    from torch.nn import functional as F

    height, width = pixels.shape[2:]
    if (width, height) == size:
        return pixels
    shrinks = size[0] < width or size[1] < height
    return F.interpolate(pixels, size[::-1], mode="bicubic", align_corners=False, antialias=shrinks)


def size_of(pixels: Tensor) -> Size:
    """That of pictures (B,C,H,W)."""
    return pixels.shape[3], pixels.shape[2]
