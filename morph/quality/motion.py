"""How much of what changes in a clip is things that move, and how much is one picture fading into another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from torch import Tensor
from torch.nn import functional as F

from morph.media.keyframe import to_uint8
from morph.motion.flow import RgbFrame, sampled

_COMPARED = 256  # px of the shorter side, at most: flow follows things for so many pixels, whatever they show
_SOFTENED = 1.0  # Gaussian sigma, px


def motion(frames: Tensor) -> float | None:
    """The share of the change between frames that optical flow explains, from 0 to 1.

    Of frames ``k`` apart, with W(a, b) the frame a, moved by the flow to b, and g a Gaussian of 1 px::

        S_k = 1 - sum_j |g * (W(f_jk, f_jk+k) - f_jk+k)| / sum_j |g * (f_jk - f_jk+k)|
        motion = max(0, S_1, S_2, S_4, ...)        for all strides 2 k <= N - 1

    Sums of absolute differences: what fades all over the picture and what moves in a corner count by how much they
    change, and so do a step in which much happens and one in which little does.

    - The flow is dense inverse search, which compares patches less their means: it explains next to nothing of a
      fade. It searches at full resolution here; at half, as by itself, it misses outlines, and a thing that moves
      before a still background gets about .1 less at 128 px.
    - The longer strides are for slow motion. Where a step is a fraction of a pixel, resampling and rounding to
      8 bits outweigh it, and a pan would count for less the more frames it is filmed in. The shorter are for fast
      motion, which cannot be followed far. A fade is a fade at any stride, so the best stride is no way around.
      None is longer than half the clip: between wholly unlike pictures, flow finds likenesses by chance.
    - The blur takes from both sides what no flow can explain: grain, and the sharpness that resampling costs.

    In 9 frames of 256 px, cross-fades of photographs have .09 at most; noise, a change of brightness and a cut .19
    at most; pans, zooms and rotations .94 or more, one thing before a still background .86 or more; in
    9 or 24 frames of 128 px, .11, .17, .80 and .75 (``python -m tests.benchmarks.motion``). What moves while it
    fades counts in part: two photographs that pan alike while one fades into the other have half.

    Args:
        frames: (N,3,H,W) in [-1,1], in order, each side of 32 px or more.

    Returns:
        ``None`` where there is nothing to explain: fewer than three frames, or frames that are all the same.
    """
    factor = _COMPARED / min(frames.shape[2:])
    if factor < 1:
        frames = F.interpolate(frames, scale_factor=factor, mode="bicubic", antialias=True).clamp(-1, 1)
    pictures = to_uint8(frames)
    shares = []
    stride = 1
    while 2 * stride < len(pictures):
        changes = [_change_and_remainder(a, b) for a, b in pairwise(pictures[::stride])]
        change, unexplained = (sum(values) for values in zip(*changes, strict=True))
        if change > 0:
            shares.append(1 - unexplained / change)
        stride *= 2
    return max(0.0, *shares) if shares else None


def _change_and_remainder(first: RgbFrame, second: RgbFrame) -> tuple[float, float]:
    """How much changes from one frame (H,W,3) to another, and how much of it is left when the first is moved."""
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (second, first)]
    warped = sampled(first, np.asarray(search.calc(*grey, None), np.float32))
    return _difference(first, second), _difference(warped, second)


def _difference(a: RgbFrame, b: RgbFrame) -> float:
    """The mean absolute difference of two frames, softened."""
    return float(np.abs(cv2.GaussianBlur(a.astype(np.float32) - b, (0, 0), _SOFTENED)).mean())
