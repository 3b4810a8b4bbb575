"""The whole way from the first keyframe to the last: fixed frames, and segments that fill in between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import torch
from torch import Tensor

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.textual_inversion import Embeddings
from pipelines.anchors import Anchor, render_anchors
from pipelines.between import Between
from pipelines.keyframes import FittedKeyframe, InvertedKeyframe, Progress, fit_latents, invert_keyframes
from pipelines.plan import fills_in
from pipelines.ranking import Chooser
from pipelines.segment import Segment
from pipelines.settings import Settings


class Route:
    """Frames at any position from 0 to 1. ``alphas`` and ``pixels`` (N,3,H,W) are those that are there already.

    These are the keyframes and the anchors between them. ``round_trips`` says in dB how well the inversion of
    each came back; it is empty if nothing is filled in. ``choices`` has the number of the candidate that each
    anchor was, where there were several.
    """

    def __init__(
        self,
        alphas: Sequence[float],
        pixels: Tensor,
        segments: Sequence[Segment],
        round_trips: Sequence[float],
        choices: Mapping[float, int],
    ) -> None:
        self.alphas = list(alphas)
        self.pixels = pixels
        self.round_trips = list(round_trips)
        self.choices = dict(choices)
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
    choices = {anchor.alpha: anchor.choice for anchor in anchors if anchor.choice is not None}
    if not fills_in(settings):
        return Route(alphas, pixels, [], [], choices)
    knots = [first, *_fitted(between, anchors, settings, progress), second]
    ends: list[InvertedKeyframe] = []
    for part in _parts(len(knots), settings.batch):
        ends += invert_keyframes(model, knots[part], settings, progress, alphas[part])
    spans = pairwise(alphas)
    segments = [Segment(model, a, b, settings, span) for (a, b), span in zip(pairwise(ends), spans, strict=True)]
    return Route(alphas, pixels, segments, [end.round_trip for end in ends], choices)


def _fitted(
    between: Between, anchors: Sequence[Anchor], settings: Settings, progress: Progress
) -> list[FittedKeyframe]:
    """Anchors as keyframes: the text and the pose of their place, and a LoRA of their own."""
    model = between.model

    def fitting(stage: str, cost: int) -> None:
        progress("fit anchors", cost)

    fitted = []
    for part in _parts(len(anchors), settings.batch):
        some = anchors[part]
        at = torch.tensor([anchor.alpha for anchor in some], device=model.device)
        latents = torch.cat([anchor.latents for anchor in some])
        pixels = torch.cat([anchor.pixels for anchor in some])
        embeddings = Embeddings(between.condition(at), between.first.negative)
        number = 2 + part.start  # the user's keyframes come first
        exactly = torch.zeros_like(latents)
        made = fit_latents(model, pixels, latents, exactly, embeddings, settings, fitting, number)
        fitted += [replace(one, pose=between.pose(anchor.alpha)) for one, anchor in zip(made, some, strict=True)]
    return fitted


def _parts(count: int, batch: int) -> list[slice]:
    return [slice(start, min(start + batch, count)) for start in range(0, count, batch)]
