"""The whole way from the first keyframe to the last: fixed frames, and segments that fill in between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import torch
from torch import Tensor

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.textual_inversion import Embeddings
from pipelines.anchors import render_anchors
from pipelines.between import Between
from pipelines.keyframes import FittedKeyframe, Progress, fit_latents, invert_keyframes
from pipelines.plan import fills_in
from pipelines.ranking import Chooser
from pipelines.segment import Segment
from pipelines.settings import Settings


class Route:
    """Frames at any position from 0 to 1. ``alphas`` and ``pixels`` (N,3,H,W) are those that are there already.

    These are the keyframes and the anchors between them. ``round_trips`` says in dB how well the inversion of
    each came back; it is empty if nothing is filled in.
    """

    def __init__(
        self, alphas: Sequence[float], pixels: Tensor, segments: Sequence[Segment], round_trips: Sequence[float]
    ) -> None:
        self.alphas = list(alphas)
        self.pixels = pixels
        self.round_trips = list(round_trips)
        self._segments = segments

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """New frames (B,3,H,W) in [-1,1] at ascending positions that are not there yet."""
        frames = []
        for index, group in groupby(alphas, lambda alpha: bisect_right(self.alphas, alpha) - 1):
            start, end = self.alphas[index : index + 2]
            inside = [(alpha - start) / (end - start) for alpha in group]
            frames.append(self._segments[index].render(inside, progress))
        return torch.cat(frames)


def find_route(
    model: LatentDiffusion,
    first: FittedKeyframe,
    second: FittedKeyframe,
    settings: Settings,
    choose: Chooser,
    progress: Progress,
) -> Route:
    """Make the anchors between two keyframes and prepare to fill in the rest; an anchor is a keyframe like any."""
    between = Between(model, first, second, settings)
    anchors = render_anchors(between, settings, choose, progress)
    alphas = [0.0, *(anchor.alpha for anchor in anchors), 1.0]
    pixels = torch.cat([first.pixels, *(anchor.pixels for anchor in anchors), second.pixels])
    if not fills_in(settings):
        return Route(alphas, pixels, [], [])
    fitted: list[FittedKeyframe] = []
    if anchors:
        conditions = between.condition(torch.tensor(alphas[1:-1], device=model.device))
        latents = torch.cat([anchor.latents for anchor in anchors])
        embeddings = Embeddings(conditions, first.negative)
        exactly = torch.zeros_like(latents)

        def fitting(stage: str, cost: int) -> None:
            progress("fit anchors", cost)

        made = fit_latents(model, pixels[1:-1], latents, exactly, embeddings, settings, fitting)
        poses = [between.pose(anchor.alpha) for anchor in anchors]
        fitted = [replace(keyframe, pose=pose) for keyframe, pose in zip(made, poses, strict=True)]
    ends = invert_keyframes(model, [first, *fitted, second], settings, progress)
    segments = [Segment(model, a, b, settings) for a, b in pairwise(ends)]
    return Route(alphas, pixels, segments, [end.round_trip for end in ends])
