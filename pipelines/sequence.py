"""Frames in order, at even perceptual distances."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from morph import pacing
from morph.media.keyframe import to_uint8
from morph.perception.lpips import PerceptualDistance
from pipelines.keyframes import Progress
from pipelines.route import Route
from pipelines.settings import Settings

EVEN = 1.3
"""The largest gap over the mean at which pacing is content."""
PASSES = 3
"""How often frames may be placed anew before pacing takes what it has."""
ROUNDING = 1e-9
"""Positions closer than this are the same; thirds of a way do not add up exactly."""
ROUND = 8
"""Most frames of a survey that are placed before the gaps are measured again; a batch must not decide it."""


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
    route: Route, perception: PerceptualDistance, settings: Settings, progress: Progress
) -> Iterator[Frame]:
    """``settings.frames`` frames from the first keyframe to the last, all keyframes among them bit for bit.

    Even pacing closes the loop as it renders. Half the frames survey the way, each round where the gaps
    measured so far are largest; then every frame that does not already stand where one should is rendered
    there, again where the finer measurement says so. A third to two thirds more frames are rendered than are
    shown. A single frame is the first keyframe.
    """
    track = _Track(perception)
    track.add(route.alphas, route.pixels)

    def render(alphas: list[float]) -> None:
        new = [alpha for alpha in alphas if alpha not in track.alphas]
        for start in range(0, len(new), settings.batch):
            batch = new[start : start + settings.batch]
            track.add(batch, route.render(batch, progress))

    if settings.frames < len(route.marks):
        shown = pacing.uniform(settings.frames)
    elif settings.pacing == "even" and settings.frames > len(route.marks):
        survey = max(4, math.ceil(settings.frames / 2))
        if len(track.alphas) == 2:
            render(pacing.uniform(min(survey - 2, ROUND, max(3, survey // 3)) + 2))
        while (left := survey - len(track.alphas)) > 0:
            render(pacing.refine(track.alphas, track.gaps, left, min(ROUND, (left + 1) // 2)))
        for _ in range(PASSES):
            shown = pacing.sequence(track.alphas, track.gaps, route.marks, settings.frames)
            render(shown)
            if pacing.Evenness.of(track.distances(shown)[1:]).max_mean_gap <= EVEN:
                break
    else:
        shown = [track.snapped(alpha) for alpha in pacing.uniform_sequence(route.marks, settings.frames)]
        render(shown)
    yield from track.frames(shown)


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

    def snapped(self, alpha: float) -> float:
        """The position of the frame that stands here already but for rounding, or this one."""
        return next((known for known in self.alphas if abs(known - alpha) < ROUNDING), alpha)

    def frames(self, alphas: list[float]) -> Iterator[Frame]:
        """The frames at these alphas, in order, each with its distance from the one before it."""
        for index, (alpha, distance) in enumerate(zip(alphas, self.distances(alphas), strict=True)):
            yield Frame(index, alpha, self._pixels[self.alphas.index(alpha)], distance)

    def distances(self, alphas: list[float]) -> list[float]:
        """Of the frames at these alphas, each from the one before it; 0 for the first."""
        features = [self._features[self.alphas.index(alpha)] for alpha in alphas]
        gaps = [float(self._perception.between(a[None], b[None])) for a, b in pairwise(features)]
        return [0.0, *gaps]
