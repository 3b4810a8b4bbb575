"""What a decoder made of a picture, as sRGB laid on black: by strips, so that little is made of the whole."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TiffImageFile

from morph.media.strips import rows_of, strips

_GREY_WITH_ALPHA = ("1", "L", "LA", "La")


class Colours:
    """Turns strips of mode L, RGB or CMYK into RGB of sRGB, through an ICC profile if one is given and can be used.

    What a person should know of the profile is added to ``notices``.
    """

    def __init__(self, mode: str, profile: bytes | None, notices: list[str]) -> None:
        self._transform: ImageCms.ImageCmsTransform | None = None
        self._first: str | None = None
        if not profile:
            return
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == "RGB":
                self._first = mode = "RGB"  # a grey picture may carry an RGB profile
            self._transform = ImageCms.buildTransform(
                source,
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError):
            notices.append("colour profile ignored: it is damaged, or not one for this picture's colours")

    def convert(self, strip: Image.Image) -> Image.Image:
        """A strip as sRGB."""
        if self._transform is None:
            return strip.convert("RGB")
        if self._first:
            strip = strip.convert(self._first)
        return ImageCms.applyTransform(strip, self._transform) or strip


def on_black(
    image: Image.Image, profile: bytes | None, notices: list[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A picture of 8 bits as sRGB laid on black, (H,W,3), and its alpha (H,W), None where it has none."""
    transparent = image.has_transparency_data
    if transparent:
        mode = "L" if image.mode in _GREY_WITH_ALPHA else "RGB"
    elif image.mode in ("L", "RGB", "CMYK"):
        mode = image.mode
    else:
        mode = "L" if image.mode == "1" else "RGB"
    colours = Colours(mode, profile, notices)
    height, width = image.height, image.width
    pixels = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if transparent else None
    for rows in strips(height, width):
        strip = rows_of(image, rows)
        if alpha is None:
            pixels[rows] = np.asarray(colours.convert(strip if strip.mode == mode else strip.convert(mode)))
            continue
        strip = strip.convert(f"{mode}A")
        matte = strip.getchannel("A")
        laid = colours.convert(strip.convert(mode))
        pixels[rows] = np.asarray(Image.composite(laid, Image.new("RGB", laid.size), matte))
        alpha[rows] = np.asarray(matte)
    return pixels, alpha


def deep_on_black(pixels: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint8] | None]:
    """Straight colour of 16 bits, (H,W,3) or (H,W,4), laid on black by its alpha, whose 8 bits are returned."""
    if pixels.shape[2] == 3:
        return pixels, None
    height, width = pixels.shape[:2]
    laid, alpha = np.empty((height, width, 3), np.uint16), np.empty((height, width), np.uint8)
    for rows in strips(height, width):
        alpha[rows] = np.rint(pixels[rows, :, 3] / np.float32(257))
        laid[rows] = np.rint(pixels[rows, :, :3] * (alpha[rows, :, None] / np.float32(255)))
    return laid, alpha


def grey_levels(image: Image.Image, top: int) -> NDArray[np.uint16]:
    """A grey picture of 12 to 32 bits as levels (H,W) up to ``top``; Pillow's own conversion would clip it."""
    bits, signed, inverted = 16, False, False
    if isinstance(image, TiffImageFile):
        bits = int(image.tag_v2.get(BITSPERSAMPLE, (16,))[0])
        signed = image.tag_v2.get(SAMPLEFORMAT, (1,))[0] == 2
        inverted = image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
    white = 2 ** (bits - signed) - 1
    levels = np.empty((image.height, image.width), np.uint16)
    for rows in strips(image.height, image.width):
        stored = np.asarray(rows_of(image, rows))
        if stored.dtype == np.int32 and not signed:
            stored = stored.view(np.uint32)  # Pillow keeps unsigned 32-bit samples in a signed mode
        found = np.rint(stored.clip(0, white).astype(np.float64) * (top / white)).astype(np.uint16)
        levels[rows] = top - found if inverted else found
    return levels


def is_srgb(profile: bytes, mode: str, notices: list[str]) -> bool:
    """Whether a profile changes no colour of 8 bits by more than a level; one that cannot be used changes none."""
    steps = np.arange(0, 256, 15).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    sample = Image.fromarray(cube).convert("L" if mode == "L" else "RGB")
    changed = np.asarray(Colours(sample.mode, profile, notices).convert(sample)).astype(int)
    return bool(np.abs(changed - np.asarray(sample.convert("RGB"))).max() <= 1)
