"""Keyframes: still pictures brought to the size of the frames, as tensors, and tensors as levels again."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import SettingsError
from morph.media.image import StillImage, read_image, unless_opaque
from morph.media.limits import MAX_PIXELS

if TYPE_CHECKING:  # a dry run reads images without waiting for torch
    import torch

MAX_ENLARGEMENT = 2.0
"""Enlarging a keyframe by more than this gives a notice: the missing detail will show."""

Fit = Literal["crop", "pad"]


@dataclass(frozen=True, eq=False)  # pixels have no one truth of equality: a keyframe equals itself alone
class Keyframe:
    """A prepared keyframe: ``pixels`` float32 (1,3,H,W) in [-1,1], sRGB-encoded, on black.

    alpha: its matte, uint8 (H,W), no colour above it; None for a keyframe that is opaque all over. depth: the bits
    of its colours, 8 or 16.
    """

    pixels: torch.Tensor
    prompt: str
    source: Path
    notices: tuple[str, ...] = ()
    alpha: NDArray[np.uint8] | None = None
    depth: int = 8

    @classmethod
    def of(cls, picture: StillImage, source: Path | str, prompt: str = "") -> Keyframe:
        """A picture that has the size of frames already; ``source`` is the file that it is from."""
        import torch

        levels = torch.from_numpy(picture.pixels.astype(np.float32)).permute(2, 0, 1)[None]
        pixels = levels / ((2**picture.depth - 1) / 2) - 1
        return cls(pixels.contiguous(), prompt, Path(source), picture.notices, picture.alpha, picture.depth)

    def extended(self) -> Keyframe:
        """The same in straight colour, which goes on under what is transparent: :mod:`morph.blending.matte`."""
        if self.alpha is None:
            return self
        import torch

        from morph.blending.matte import extended

        light = np.asarray(self.pixels[0].permute(1, 2, 0) / 2 + 0.5, np.float32)
        matte = self.alpha.astype(np.float32) / np.float32(255)
        colour = extended(light, matte, 1 / (2**self.depth - 1))
        pixels = torch.from_numpy(colour).permute(2, 0, 1)[None] * 2 - 1
        return replace(self, pixels=pixels.contiguous())


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) in pixels of ``"320x192"``, or of ``"256"``, a square.

    Raises:
        SettingsError: anything else, a zero, or more than MAX_PIXELS.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[xX×](\d{1,5}))?", text.strip(), re.ASCII)
    width, height = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise SettingsError(f"size {text!r}: write it as 256 (a square) or as 320x192 (width x height)")
    return width, height


def load_keyframe(path: Path | str, prompt: str, size: tuple[int, int], fit: Fit = "crop") -> Keyframe:
    """Read ``path`` and bring it to exactly ``size`` (width, height), see :func:`fitted`.

    Raises:
        KeyframeError: the file cannot be used.
    """
    return Keyframe.of(fitted(read_image(path), path, size, fit), path, prompt)


def fitted(picture: StillImage, source: Path | str, size: tuple[int, int], fit: Fit = "crop") -> StillImage:
    """A picture at exactly ``size`` (width, height), its proportions unchanged; ``source`` is its name in notices.

    ``"crop"`` fills the frame and cuts what stands out, evenly on both sides; ``"pad"`` shows everything,
    centred on black, which is transparent if the picture has a matte. A picture that already has the size keeps
    every value.
    """
    pixels, alpha, notices = picture
    height, width = pixels.shape[:2]
    across, down = size[0] / width, size[1] / height
    scale = max(across, down) if fit == "crop" else min(across, down)
    if scale > MAX_ENLARGEMENT:
        before = f"{width}x{height}"
        notices += (f"{source}: {before} is enlarged {scale:.1f} times: a larger picture would be sharper",)

    def fit_one(layer: NDArray[Any]) -> NDArray[Any]:
        image = Image.fromarray(layer)
        return np.array(_crop(image, size, scale) if fit == "crop" else _pad(image, size, scale))

    top = 2**picture.depth - 1
    if picture.depth == 16:  # Pillow scales colours of 8 bits, or one plane of numbers
        planes = [fit_one(plane.astype(np.float32)) for plane in np.moveaxis(pixels, 2, 0)]
        pixels = np.rint(np.stack(planes, 2)).clip(0, top).astype(np.uint16)
    else:
        pixels = fit_one(pixels)
    if alpha is not None:
        # The filter overshoots at edges: where colour came out above its matte, the matte follows.
        step = top // 255
        highest = ((pixels.max(axis=2).astype(int) + step - 1) // step).astype(np.uint8)
        alpha = unless_opaque(np.maximum(fit_one(alpha), highest))
    return StillImage(pixels, alpha, notices)


def to_levels(pixels: torch.Tensor, depth: int) -> NDArray[Any]:
    """Turn (B,3,H,W) in [-1,1] into levels (B,H,W,3) of 8 or 16 bits: rounded, and clamped where it stands out."""
    top = 2**depth - 1
    levels = ((pixels.detach().float() + 1) * (top / 2)).round().clamp(0, top).permute(0, 2, 3, 1)
    return levels.contiguous().cpu().numpy().astype(np.uint8 if depth == 8 else np.uint16)


def to_uint8(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """:func:`to_levels` of 8 bits."""
    return to_levels(pixels, 8)


def _crop(image: Image.Image, size: tuple[int, int], scale: float) -> Image.Image:
    # The cut is made in the source's coordinates, so no intermediate picture is larger than the result.
    width, height = min(size[0] / scale, image.width), min(size[1] / scale, image.height)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return image.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))


def _pad(image: Image.Image, size: tuple[int, int], scale: float) -> Image.Image:
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, size)
    corner = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    canvas.paste(image.resize(inner, Image.Resampling.LANCZOS), corner)
    return canvas
