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

    These are the keyframes, whose positions are ``marks``, and the anchors between them. ``round_trips`` says in
    dB how well the inversion of each came back; it is empty if nothing is filled in. ``choices`` has the number
    of the candidate that each anchor was, where there were several.
    """

    def __init__(
        self,
        marks: Sequence[float],
        alphas: Sequence[float],
        pixels: Tensor,
        segments: Sequence[Segment],
        round_trips: Sequence[float],
        choices: Mapping[float, int],
    ) -> None:
        self.marks = list(marks)
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
    keyframes: Sequence[FittedKeyframe],
    settings: Settings,
    choose: Chooser,
    progress: Progress,
) -> Route:
    """Make the anchors between keyframes and prepare to fill in the rest; an anchor is a keyframe like any.

    ``choose`` is told positions on the whole route.
    """
    pairs = len(keyframes) - 1
    fill = fills_in(settings, len(keyframes))
    marks = [number / pairs for number in range(pairs + 1)]
    knots, places = [keyframes[0]], [0.0]  # places: in (0,1] from one of the user's keyframes to the next
    alphas, pixels = [0.0], [keyframes[0].pixels]
    choices: dict[float, int] = {}
    for number, (first, second) in enumerate(pairwise(keyframes)):

        def ask(alpha: float, *pictures: Tensor, number: int = number) -> int:
            return choose((number + alpha) / pairs, *pictures)

        between = Between(model, first, second, settings)
        anchors = render_anchors(between, settings, ask, progress)
        if fill:
            before = len(keyframes) + number * len(anchors)
            knots += [*_fitted(between, anchors, settings, progress, before), second]
        places += [*(anchor.alpha for anchor in anchors), 1.0]
        alphas += [*((number + anchor.alpha) / pairs for anchor in anchors), marks[number + 1]]
        pixels += [*(anchor.pixels for anchor in anchors), second.pixels]
        chosen = {(number + anchor.alpha) / pairs: anchor.choice for anchor in anchors}
        choices |= {alpha: choice for alpha, choice in chosen.items() if choice is not None}
    inverted: list[InvertedKeyframe] = []
    if fill:
        for part in _parts(len(knots), settings.batch):
            inverted += invert_keyframes(model, knots[part], settings, progress, places[part])
    segments = []
    for (a, b), (start, end) in zip(pairwise(inverted), pairwise(places), strict=fill):
        segments.append(Segment(model, a, b, settings, (start % 1, end)))
    return Route(marks, alphas, torch.cat(pixels), segments, [end.round_trip for end in inverted], choices)


def _fitted(
    between: Between, anchors: Sequence[Anchor], settings: Settings, progress: Progress, number: int
) -> list[FittedKeyframe]:
    """Anchors as keyframes: the text and the pose of their place, and a LoRA of their own.

    ``number`` is that of the first, counted after the user's keyframes.
    """
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
        exactly = torch.zeros_like(latents)
        made = fit_latents(model, pixels, latents, exactly, embeddings, settings, fitting, number + part.start)
        fitted += [replace(one, pose=between.pose(anchor.alpha)) for one, anchor in zip(made, some, strict=True)]
    return fitted


def _parts(count: int, batch: int) -> list[slice]:
    return [slice(start, min(start + batch, count)) for start in range(0, count, batch)]
