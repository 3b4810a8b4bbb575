"""Pictures and mattes as ComfyUI has them, IMAGE and MASK, and as the pipeline does: levels of 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morph.errors import KeyframeError

_EXACT = 1e-3
"""How far from a level of 8 bits a value may be, in levels; those of 16 bits are 1/257 away or more."""


def check_pictures(images: Tensor) -> None:
    """Refuse what is no IMAGE: float (B,H,W,C) with three or four channels and finite values.

    Raises:
        KeyframeError: with its shape.
    """
    if images.ndim != 4 or images.shape[3] not in (3, 4) or not images.shape[0]:
        shape = "x".join(map(str, images.shape))
        raise KeyframeError(f"image: a batch of {shape}; connect pictures of three or four channels")
    if not all(bool(torch.isfinite(image).all()) for image in images):
        raise KeyframeError("image: holds values that are no numbers; look at what made it")


def depth_of(images: Tensor) -> int:
    """The bits that hold an IMAGE without loss, 8; or 16 where some values lie between levels of 8 bits."""
    return 8 if all(_is_of_8_bits(image.numpy(force=True)) for image in images) else 16


def levels(image: Tensor, depth: int) -> NDArray[Any]:
    """One picture (H,W,C) in [0,1], clamped, as uint8 or uint16 (H,W,C); values of that depth are kept exactly."""
    top = 2**depth - 1
    scaled = np.rint(image.numpy(force=True).astype(np.float64) * top).clip(0, top)
    return scaled.astype(np.uint8 if depth == 8 else np.uint16)


def arrays(images: Tensor, masks: Tensor | None = None) -> list[NDArray[Any]]:
    """The pictures of an IMAGE as arrays (H,W,3), or (H,W,4) with straight alpha, each of the bits that it needs.

    masks: a MASK (B,H,W), or one (1,H,W) for all: 1 where a picture is transparent, as ComfyUI has it.

    Raises:
        KeyframeError: no pictures, or masks of another size or number.
    """
    check_pictures(images)
    masks = fitting(masks, images)
    made = []
    for number, image in enumerate(images):
        image = image if masks is None else torch.cat([image[..., :3], 1 - masks[number][..., None]], dim=2)
        made.append(levels(image, depth_of(image[None])))
    return made


def fitting(masks: Tensor | None, images: Tensor) -> Tensor | None:
    """The masks of pictures, (B,H,W) in [0,1]; None where nothing is masked, whatever the size of that.

    Raises:
        KeyframeError: masks of another size or number than the pictures.
    """
    if masks is None or not bool(masks.any()):  # of opaque pictures ComfyUI's LoadImage gives 64x64 zeros
        return None
    masks = (masks[None] if masks.ndim == 2 else masks).to(images)
    count, height, width = images.shape[:3]
    if masks.ndim != 3 or masks.shape[0] not in (1, count) or masks.shape[1:] != (height, width):
        shape = "x".join(map(str, masks.shape))
        raise KeyframeError(
            f"mask: {shape} for {count} pictures of {width}x{height}; connect masks of the same size and number"
        )
    return masks.nan_to_num().clamp(0, 1).expand(count, height, width)


def image_of(frame: NDArray[Any]) -> Tensor:
    """Levels (H,W,C) of 8 or 16 bits as float32 in [0,1], bit for bit as ComfyUI's own nodes read a file."""
    return torch.from_numpy(frame.astype(np.float32) / np.float32(np.iinfo(frame.dtype).max))


def batch_of(frames: Iterable[NDArray[Any]]) -> Tensor:
    """Levels of one size as an IMAGE (B,H,W,C)."""
    return torch.stack([image_of(frame) for frame in frames])


def mask_of(matte: NDArray[np.float32]) -> Tensor:
    """A matte (H,W) in [0,1], 1 where a picture is opaque, as a MASK's row."""
    return 1 - torch.from_numpy(matte)


def _is_of_8_bits(values: NDArray[Any]) -> bool:
    scaled = values.astype(np.float64).clip(0, 1) * 255
    return bool((np.abs(scaled - np.rint(scaled)) <= _EXACT).all())
