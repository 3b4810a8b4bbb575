"""Frames in order, at even perceptual distances: every frame that is rendered is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from morph import pacing
from morph.media.keyframe import to_uint8
from morph.perception.lpips import PerceptualDistance
from pipelines.keyframes import Progress
from pipelines.segment import Segment
from pipelines.settings import Settings

ROUND = 8
"""Most frames that are placed before the gaps are measured again."""


@dataclass(frozen=True)
class Frame:
    """One frame of a morph.

    pixels uint8 (H,W,3); alpha, its position between the keyframes; distance, LPIPS-Alex from the frame
    before it, 0 for the first.
    """

    index: int
    alpha: float
    pixels: NDArray[np.uint8]
    distance: float

    @property
    def image(self) -> Image.Image:
        """The frame as a Pillow image."""
        return Image.fromarray(self.pixels)


def render_frames(
    segment: Segment, perception: PerceptualDistance, settings: Settings, progress: Progress
) -> Iterator[Frame]:
    """``settings.frames`` frames from the first keyframe to the second, both of them bit for bit.

    Even pacing closes the loop as it renders: a coarse set first, then the gaps that are due, measured
    after every batch, until the frames are spent. A single frame is the first keyframe.
    """
    ends = torch.cat([segment.first.pixels, segment.second.pixels])[: settings.frames]
    track = _Track(perception)
    track.add(pacing.uniform(len(ends)), ends)
    left = settings.frames - len(ends)
    while left > 0:
        alphas = _next_alphas(track, left, settings)
        for start in range(0, len(alphas), settings.batch):
            batch = alphas[start : start + settings.batch]
            track.add(batch, segment.render(batch, progress))
        left -= len(alphas)
    yield from track.frames()


def _next_alphas(track: _Track, left: int, settings: Settings) -> list[float]:
    """Positions of the next round: a coarse uniform set, then what pacing asks for, fewer as the end nears.

    Small last rounds leave the decisions that matter most to when nearly everything has been measured. The
    size of a round is not that of a batch, which must not change where frames stand.
    """
    if settings.pacing == "uniform":
        return pacing.uniform(settings.frames)[1:-1]
    if len(track.alphas) == 2:
        return pacing.uniform(min(left, ROUND, max(3, left // 3)) + 2)[1:-1]
    return pacing.refine(track.alphas, track.gaps, left, min(ROUND, (left + 1) // 2))


class _Track:
    """Frames rendered so far, in order of alpha, with the distances between neighbours."""

    def __init__(self, perception: PerceptualDistance) -> None:
        self._perception = perception
        self.alphas: list[float] = []
        self.gaps: list[float] = []
        self._pixels: list[NDArray[np.uint8]] = []
        self._features: list[Tensor] = []

    def add(self, alphas: list[float], frames: Tensor) -> None:
        """Put frames (B,3,H,W) where their alphas belong; distances are those of the 8-bit frames."""
        pixels = to_uint8(frames)
        seen = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(frames) / 127.5 - 1
        for alpha, image, features in zip(alphas, pixels, self._perception.features(seen), strict=True):
            at = int(np.searchsorted(self.alphas, alpha, side="right"))
            around = self._features[max(at - 1, 0) : at + 1]
            new = self._perception.between(features[None], torch.stack(around)).tolist() if around else []
            # a frame between two others takes the place of their gap; one at an end opens a new gap
            self.gaps[max(at - 1, 0) : at] = new
            self.alphas.insert(at, alpha)
            self._pixels.insert(at, image)
            self._features.insert(at, features)

    def frames(self) -> Iterator[Frame]:
        """The frames in order."""
        for index, (alpha, pixels, gap) in enumerate(
            zip(self.alphas, self._pixels, [0.0, *self.gaps], strict=True)
        ):
            yield Frame(index, alpha, pixels, gap)
