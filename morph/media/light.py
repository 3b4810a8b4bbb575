"""Linear light: sRGB-encoded frames to half floats and back, by sRGB's exact piecewise curve."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from morph.media.frame import FrameArray
from morph.media.strips import strips


def to_linear(frame: FrameArray) -> NDArray[np.float16]:
    """Return a frame in linear light, (H,W,3) or (H,W,4), black 0 and white 1.

    Colour is multiplied by alpha, as EXR holds it: where alpha is zero, colour is lost.
    """
    colour = _decoded(frame.dtype.name)[frame[..., :3]]
    if frame.shape[2] == 3:
        return colour.astype(np.float16)
    alpha = frame[..., 3:].astype(np.float32) / np.float32(np.iinfo(frame.dtype).max)
    return np.concatenate([colour * alpha, alpha], axis=2).astype(np.float16)


def from_linear(light: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return linear light (H,W,3) or (H,W,4), colour multiplied by alpha, as a frame of 16 bits.

    What is darker than black, brighter than white or no number is clipped. 8-bit frames come back exactly,
    once they are rounded to 8 bits again.
    """
    encoded = np.empty(light.shape, np.uint16)
    for rows in strips(*light.shape[:2]):
        encoded[rows] = _encoded(light[rows].astype(np.float32))
    return encoded


def _encoded(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light as sRGB's codes of 16 bits."""
    colour = light[..., :3]
    if light.shape[2] == 4:
        alpha = light[..., 3:]
        with np.errstate(invalid="ignore"):  # an infinite colour by an infinite alpha
            colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    colour = _within(colour)
    # both branches in place of a choice per pixel would take the root of the darkest as well; it does no harm
    colour = np.where(colour <= 0.0031308, colour * 12.92, 1.055 * colour ** np.float32(1 / 2.4) - 0.055)
    return np.rint(np.concatenate([colour, _within(light[..., 3:])], axis=2) * 65535)


def _within(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.nan_to_num(values, nan=0.0).clip(0, 1)


@cache
def _decoded(dtype: str) -> NDArray[np.float32]:
    """The light of every code there is."""
    codes = np.linspace(0, 1, np.iinfo(dtype).max + 1)
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).astype(np.float32)
