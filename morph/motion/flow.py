"""Frames between two close ones, by following how each pixel moves.

Close is what LPIPS says, see :data:`CLOSE`. Across anything more there is no motion to follow, and every method
here would mix two pictures: what to do there instead is the caller's choice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from morph.media.frame import checked_rgb

if TYPE_CHECKING:
    from morph.perception.lpips import PerceptualDistance

CLOSE = 0.35
"""The LPIPS distance up to which two frames are close, see :func:`distance`.

Chosen by ``python -m tests.benchmarks.inbetween``: over camera motions of all sizes, the frame halfway between two
up to this far apart was always nearer to the truth than either of them, by LPIPS at 0.61 of the distance at
worst and 0.18 or less on average. From 0.40 on, optical flow was at times worse than a repeated frame. Unrelated
photographs are 0.53 apart or more.
"""

RgbFrame = NDArray[np.uint8]  # sRGB (H,W,3)
Field = NDArray[np.float32]  # (H,W,2), x and y in pixels

_STEPS = 3  # towards a fixed point: more change nothing that can be measured
_SEARCHABLE = 32  # px: the search crashes on less
_ASTRAY = 4  # how much worse no place at all is than a place that the other frame does not show
_COMPARED = 256  # px of the shorter side: LPIPS depends on the scale, and the threshold should not


class Interpolator(ABC):
    """Fills between two frames; ``name`` says on screen how."""

    name: str

    def between(self, first: RgbFrame, second: RgbFrame, times: Iterable[float]) -> Iterator[RgbFrame]:
        """Yield the frame at each of ``times``, in their order, when it is asked for.

        Args:
            first: uint8 sRGB (H,W,3), at time 0.
            second: the same shape, at time 1.
            times: each above 0 and below 1, as many as wanted.

        Yields:
            uint8 sRGB (H,W,3). Between equal frames there is only that frame.

        Raises:
            ValueError: frames that are no frames or differ in size, or a time outside (0,1).
        """
        first = checked_rgb(first)
        second = checked_rgb(second, (first.shape[1], first.shape[0]))
        equal = np.array_equal(first, second)
        frame_at = (lambda time: first.copy()) if equal else self._frame_function(first, second)
        for time in times:
            if not 0 < time < 1:
                raise ValueError(f"time {time} is not between the frames, which stand at 0 and 1")
            yield frame_at(time)

    @abstractmethod
    def _frame_function(self, first: RgbFrame, second: RgbFrame) -> Callable[[float], RgbFrame]:
        """What gives the frame at a time; the pair is studied once, here."""


class Blend(Interpolator):
    """A cross-fade, which moves nothing: the baseline that the others have to beat."""

    name = "cross-fade"

    def _frame_function(self, first: RgbFrame, second: RgbFrame) -> Callable[[float], RgbFrame]:
        return lambda time: mixed(first, second, 1 - time)


class OpticalFlow(Interpolator):
    """Optical flow by dense inverse search (Kroeger et al., 2016, arXiv 1603.03590), in both directions.

    A pixel is traced back along either flow to where it comes from in the first frame and in the second, and
    is the mean of both, the nearer in time counting more. A place counts less the further outside the frame it
    is, the less surely the tracing finds it, and the more the two flows contradict each other there: so what
    a moving edge has just uncovered, or what has come in at the side, is taken from the frame that shows it.
    """

    name = "optical flow (DIS)"

    def _frame_function(self, first: RgbFrame, second: RgbFrame) -> Callable[[float], RgbFrame]:
        forward_flow, backward_flow = _flow(first, second), _flow(second, first)
        # How far the way there and back again misses its start: what one frame alone shows has no way back.
        forward_error = np.linalg.norm(forward_flow + sampled(backward_flow, forward_flow), axis=2)
        backward_error = np.linalg.norm(backward_flow + sampled(forward_flow, backward_flow), axis=2)

        def frame_at(time: float) -> RgbFrame:
            first_warped, first_confidence = _traced_frame(first, forward_flow, forward_error, -time)
            second_warped, second_confidence = _traced_frame(second, backward_flow, backward_error, time - 1)
            first_weight = (1 - time) * first_confidence
            return mixed(first_warped, second_warped, first_weight / (first_weight + time * second_confidence))

        return frame_at


def distance(first: RgbFrame, second: RgbFrame, lpips: PerceptualDistance) -> float:
    """LPIPS of two frames, uint8 (H,W,3), to compare with :data:`CLOSE`.

    Raises:
        ValueError: frames that differ in size, or of less than 32 px.
    """
    import torch

    factor = _COMPARED / min(first.shape[:2])
    if factor < 1:
        first, second = (
            np.asarray(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
            for frame in (first, second)
        )
    pixels = torch.from_numpy(np.stack([first, second])).permute(0, 3, 1, 2) / 127.5 - 1
    return lpips.consecutive(pixels).item()


def traced(motion: Field, share: float) -> Field:
    """Find for each pixel the place whose motion, times ``-share``, ends at that pixel.

    It is a fixed point, as motion belongs to the place that is looked for. ``motion`` is (H,W,2), x and y in
    pixels; so is the result, the way from the pixel to the place.
    """
    displacement = np.float32(share) * motion
    for _ in range(_STEPS):
        displacement = np.float32(share) * sampled(motion, displacement)
    return displacement


def sampled(image: NDArray[Any], displacement: Field) -> NDArray[Any]:
    """``image`` (H,W) or (H,W,C) at the place ``displacement`` (H,W,2) from each pixel; edges go on outside.

    Frames, uint8, are sampled by cubics, which keep them sharp, and fields linearly.
    """
    columns, rows = _coordinates(displacement)
    method = cv2.INTER_CUBIC if image.dtype == np.uint8 else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(image, columns, rows, method, borderMode=cv2.BORDER_REPLICATE))


def mixed(first: RgbFrame, second: RgbFrame, share: float | NDArray[np.floating]) -> RgbFrame:
    """The frame that is ``share``, one number or (H,W) of [0,1], the first and else the second."""
    return np.rint(second + np.asarray(share)[..., None] * (first.astype(np.float32) - second)).astype(np.uint8)


def _flow(first: RgbFrame, second: RgbFrame) -> Field:
    """Where each pixel of ``first`` is in ``second``, (H,W,2)."""
    height, width = first.shape[:2]
    pad_down, pad_right = max(0, _SEARCHABLE - height), max(0, _SEARCHABLE - width)
    grey = [
        cv2.copyMakeBorder(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 0, pad_down, 0, pad_right, cv2.BORDER_REPLICATE)
        for frame in (first, second)
    ]
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(grey[0], grey[1], None), np.float32)[:height, :width]


def _traced_frame(
    frame: RgbFrame, flow: Field, flow_error: NDArray, share: float
) -> tuple[RgbFrame, NDArray[np.float32]]:
    """What ``frame`` gives each pixel by :func:`traced`, and how far that is to be trusted, (H,W) up to 1."""
    displacement = traced(flow, share)
    height, width = displacement.shape[:2]
    columns, rows = _coordinates(displacement)
    outside = np.abs(columns - columns.clip(0, width - 1)) + np.abs(rows - rows.clip(0, height - 1))
    # there may be no fixed point
    tracing_error = np.linalg.norm(displacement - np.float32(share) * sampled(flow, displacement), axis=2)
    distrust = 1 + sampled(flow_error, displacement) ** 2 + (_ASTRAY * (tracing_error + outside)) ** 2
    return sampled(frame, displacement), 1 / distrust


def _coordinates(displacement: Field) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns and rows (H,W) of the places that lie ``displacement`` (H,W,2) from each pixel."""
    height, width = displacement.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return columns + displacement[..., 0], rows + displacement[..., 1]
