"""A segment: the way from one of the user's keyframes to the next, anchors included; alphas in, frames out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import torch
from PIL.Image import Image
from torch import Tensor

from morph.blending.warp import Warp
from morph.diffusion.condition import Condition
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.textual_inversion import Embeddings
from morph.latest import Latest
from pipelines.between.aligned import AlignedInfill
from pipelines.between.anchors import Anchor
from pipelines.between.filler import Filler
from pipelines.between.finishing import End, finished
from pipelines.between.infill import Infill
from pipelines.between.keyframes import (
    CapturedKeyframe,
    FittedKeyframe,
    Progress,
    fit_latents,
    invert_keyframes,
)
from pipelines.between.pair import Pair, guide_of
from pipelines.between.register import Register
from pipelines.between.rendered_way import Choice
from pipelines.between.slerped import SlerpedInfill
from pipelines.request.settings import Settings


@dataclass(frozen=True)
class Knot:
    """A picture that stands fast on a segment, a keyframe or an anchor, at ``alpha`` in [0,1].

    ``name`` is that of what was fitted to it. ``choice`` tells which candidate an anchor was; None where there was
    only one.
    """

    alpha: float
    keyframe: FittedKeyframe
    name: str
    choice: Choice | None = None


class Segment:
    """Frames anywhere between two keyframes, at their ``knots``, and in-fill between these.

    ``capture`` is asked for what in-fill borrows of a knot, when a frame next to it is first rendered, and
    ``full_pixels`` for a knot's pixels (1,3,H,W) at the size of finished frames, when one is first finished.
    With ``warp`` knots are in register, and nothing is borrowed of them as they are.
    """

    def __init__(
        self,
        model: LatentDiffusion,
        knots: Sequence[Knot],
        settings: Settings,
        capture: Callable[[Knot], CapturedKeyframe],
        full_pixels: Callable[[Knot], Tensor],
        warp: Warp | None = None,
    ) -> None:
        self.knots = list(knots)
        self._places = [knot.alpha for knot in knots]
        self._model = model
        self._settings = settings
        self._capture = capture
        self._full_pixels = full_pixels
        self._warp = warp
        self._registers: Latest[int, Register] = Latest(1)
        self._ends: Latest[int, End] = Latest(2)  # they are large, and a frame stands between two

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """What the model makes of frames at ascending positions between the knots, (B,3,h,w) in [-1,1]."""
        frames = []
        for index, group in groupby(alphas, self._before):
            inside = [self._inside(alpha, index) for alpha in group]
            frames.append(self._filler(index).render(inside, progress))
        return torch.cat(frames)

    def _filler(self, index: int) -> Filler:
        """What fills in between a knot and the next."""
        first, second = self.knots[index : index + 2]
        model, settings, span = self._model, self._settings, self._span(index)
        if register := self._register(index):
            return AlignedInfill(model, first.keyframe, second.keyframe, settings, register, self._guide)
        if settings.anchors.scheme == "latent":
            return SlerpedInfill(model, first.keyframe, second.keyframe)
        return Infill(model, self._capture(first), self._capture(second), settings, span, self._guide)

    @cached_property
    def _guide(self) -> Condition | None:
        """The text of frames, where it is none of the knots'."""
        return guide_of(self._model, self._settings)

    def finished(self, frame: Tensor, alpha: float) -> Tensor:
        """The frame (1,3,H,W) in [-1,1] of full size, of what :meth:`render` made at its position (1,3,h,w)."""
        index = self._before(alpha)
        ends = self._ends.get(index, self._end_of), self._ends.get(index + 1, self._end_of)
        return finished(frame, self._inside(alpha, index), ends, self._settings.fade, self._register(index))

    def _register(self, index: int) -> Register | None:
        """That of a knot and the next, if there is a field between keyframes."""
        return None if self._warp is None else self._registers.get(index, self._make_register)

    def _make_register(self, index: int) -> Register:
        assert self._warp
        first, second = (knot.keyframe.pixels for knot in self.knots[index : index + 2])
        return Register.of(first, second, self._settings.align, self._warp, self._span(index))

    def _end_of(self, index: int) -> End:
        knot = self.knots[index]
        pixels = knot.keyframe.pixels
        if self._warp is None and self._settings.anchors.scheme != "latent":
            reconstruction = pixels - self._capture(knot).residual
        else:
            reconstruction = self._model.decode(knot.keyframe.latents)
        return End.of(pixels, reconstruction, self._full_pixels(knot).to(self._model.device))

    def _before(self, alpha: float) -> int:
        """The number of the last knot before a position."""
        return bisect_right(self._places, alpha) - 1

    def _span(self, index: int) -> tuple[float, float]:
        return self._places[index], self._places[index + 1]

    def _inside(self, alpha: float, index: int) -> float:
        """A position between two knots as a share of the way from the one to the other."""
        start, end = self._span(index)
        return (alpha - start) / (end - start)


def fit_anchors(
    model: LatentDiffusion, pair: Pair, anchors: Sequence[Anchor], settings: Settings, progress: Progress
) -> list[FittedKeyframe]:
    """Anchors as keyframes, in one batch: text and pose of their place, a LoRA, latents inverted if need be.

    A LoRA of both ends is theirs too.
    """

    def fitting(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
        progress("fit anchors", cost, preview)

    alphas = [anchor.alpha for anchor in anchors]
    latents = torch.cat([anchor.latents for anchor in anchors])
    pixels = torch.cat([anchor.pixels for anchor in anchors])
    embeddings = Embeddings(pair.condition(torch.tensor(alphas, device=model.device)), pair.first.negative)
    published = [pair.published(alpha) for alpha in alphas]
    zeros = torch.zeros_like(latents)
    joint = settings.lora.joint
    alone = replace(settings, lora=replace(settings.lora, steps=0)) if joint else settings
    fitted = fit_latents(model, pixels, latents, zeros, embeddings, alone, fitting, published)
    if joint:  # it is the same all along the way
        end = pair.first
        fitted = [replace(keyframe, lora=end.lora, negative_lora=end.negative_lora) for keyframe in fitted]
    posed = [replace(keyframe, pose=pair.pose(alpha)) for keyframe, alpha in zip(fitted, alphas, strict=True)]
    return posed if settings.align.on else invert_keyframes(model, posed, settings, progress, alphas)


def unfitted(model: LatentDiffusion, pair: Pair, anchor: Anchor) -> FittedKeyframe:
    """An anchor that nothing starts from: its picture alone."""
    alpha = torch.tensor([anchor.alpha], device=model.device)
    return FittedKeyframe(anchor.pixels, anchor.latents, pair.condition(alpha), pair.first.negative, None)
