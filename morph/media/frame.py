"""Frames: pictures as arrays, and what each part of morph takes for one.

A frame is uint8 or uint16 and sRGB-encoded: (H,W,3), or (H,W,4) with straight alpha as the last channel.
"""

import numpy as np
from numpy.typing import NDArray

from morph.media.strips import strips

FrameArray = NDArray[np.uint8 | np.uint16]
"""Any frame: 8 or 16 bits, with or without alpha."""


def checked_frame(
    frame: FrameArray, size: tuple[int, int] | None = None
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8 | np.uint16]]:
    """Return ``frame``, contiguous, if it is one and of ``size`` (W,H); else ValueError."""
    shaped = frame.ndim == 3 and frame.shape[2] in (3, 4) and frame.size > 0
    if frame.dtype not in (np.uint8, np.uint16) or not shaped:
        raise ValueError(f"a frame is uint8 or uint16, (H,W,3) or (H,W,4), this is {frame.dtype} {frame.shape}")
    height, width, channels = frame.shape
    if size is not None and (width, height) != size:
        raise ValueError(f"the frame is {width}x{height}, the writer was opened for {size[0]}x{size[1]}")
    return np.ascontiguousarray(frame).reshape(height, width, channels)


def checked_rgb(
    frame: FrameArray, size: tuple[int, int] | None = None
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return ``frame``, contiguous, if it is uint8 (H,W,3) and of ``size`` (W,H); else ValueError."""
    if frame.dtype != np.uint8 or frame.shape[2:] != (3,):
        raise ValueError(f"a frame is uint8 (H,W,3) here, this is {frame.dtype} {frame.shape}")
    return checked_frame(frame, size).view(np.uint8)


LOSES = "its frames are taken as 8-bit RGB, and what is transparent as laid on black"
"""What people are told where :func:`to_rgb8` takes something away."""


def described(frame: FrameArray) -> str:
    """A frame's size and kind, for people."""
    height, width, channels = frame.shape
    return f"{width}x{height}, {8 * frame.itemsize}-bit {'RGB' if channels == 3 else 'RGBA'}"


def to_rgb8(frame: FrameArray) -> NDArray[np.uint8]:
    """Return any frame as uint8 (H,W,3): rounded to 8 bits, and what is transparent laid on black.

    Raises ValueError for what is no frame.
    """
    frame = checked_frame(frame)
    if frame.dtype == np.uint8 and frame.shape[2] == 3:
        return frame.view(np.uint8)
    white = np.iinfo(frame.dtype).max
    laid = np.empty((*frame.shape[:2], 3), np.uint8)
    for rows in strips(*frame.shape[:2]):
        colour = frame[rows, :, :3].astype(np.float32) * np.float32(255 / white)
        if frame.shape[2] == 4:
            colour *= frame[rows, :, 3:].astype(np.float32) / white
        laid[rows] = np.rint(colour)
    return laid


def coloured(pixels: FrameArray) -> FrameArray:
    """Return grey (H,W), (H,W,1) or grey with alpha (H,W,2) as the frame that looks the same."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels if pixels.shape[2] > 2 else np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2)
