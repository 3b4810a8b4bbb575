"""The frames of a clip's ways as a model paints them: of full size, and drafts by which a way is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from morph.media.keyframe import to_levels
from morph.scaling import Size, enlarged
from pipelines.between.keyframes import CapturedKeyframe, Progress, capture_keyframe
from pipelines.between.segment import Knot, Segment
from pipelines.request.settings import deciding
from pipelines.request.ways import Way, drafts
from pipelines.tasks.overlay import Overlay
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.store import FRAMES, Reel, hash_of, key_of
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench

Times = tuple[int, ...]
"""Those at which a sampler visits a frame, from the noisiest down."""


class Tracks:
    """Makes the tracks of a clip's ways; their reels are in the job's folder."""

    def __init__(self, bench: Workbench, pairs: Pairs) -> None:
        self._bench = bench
        self._model = bench.models.model
        self._pairs = pairs
        self._overlay = Overlay(bench, pairs)
        self._captured: dict[tuple[str, Times, float], CapturedKeyframe] = {}

    def whole(self, way: Way, knots: Sequence[Knot]) -> tuple[Track, str]:
        """The frames so far of a way, of full size and by all steps; the name of their reel."""
        return self._track(way, knots, self._times(way), self._bench.progress, self._bench.plan.sizes.frame)

    def drafted(self, way: Way, knots: Sequence[Knot], count: int) -> Track | None:
        """Drafts of a way, if it is to be measured by these; whatever they cost is spent on the survey.

        They stay at the size at which they are looked at.
        """
        if count <= len(knots) or not (steps := drafts(way)):
            return None
        if way.settings.align.on:  # in register they tell how the way looks, and cost nothing
            return self._overlay.track(way, self._bench.plan.sizes.model)[0]

        def progress(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
            self._bench.progress("survey", cost, preview)

        return self._track(way, knots, self._times(way, steps), progress, self._bench.plan.sizes.model)[0]

    def round_trips(self, way: Way) -> dict[str, float]:
        """DB of the knots that were captured for frames of full size, by their names."""
        times = self._times(way)
        return {name: own.round_trip for (name, at, _), own in self._captured.items() if at == times}

    def _times(self, way: Way, taken: int | None = None) -> Times:
        """Those of the frames of a way, or of drafts of so many steps."""
        return self._model.schedule.times(way.settings.steps, taken)

    def _track(
        self, way: Way, knots: Sequence[Knot], times: Times, progress: Progress, size: Size
    ) -> tuple[Track, str]:
        """The frames so far of a way, of a size and at a sampler's times; the name of their reel."""
        settings, sizes = way.settings, self._bench.plan.sizes
        # features are large: those of other segments go, but for a keyframe that this one starts with
        wanted = {knot.name for knot in knots}
        self._captured = {key: own for key, own in self._captured.items() if key[0] in wanted}

        def capture(knot: Knot) -> CapturedKeyframe:
            key = knot.name, times, settings.attention
            if key not in self._captured:
                at = knot.alpha
                captured = capture_keyframe(self._model, knot.keyframe, settings, times, progress, at)
                self._captured[key] = captured
            return self._captured[key]

        def whole(knot: Knot) -> Tensor:
            if knot.alpha in (0, 1) and size == sizes.frame:
                return self._bench.pictures.keyframe(way.ends[int(knot.alpha)]).pixels
            return enlarged(knot.keyframe.pixels, size).clamp(-1, 1)  # an anchor has no more

        segment = Segment(self._model, knots, settings, capture, whole, self._pairs.warp(way.number))

        def levels(pixels: Tensor) -> NDArray[Any]:
            return to_levels(pixels, settings.depth)[0]

        def run(part: Sequence[float]) -> Sequence[Tensor]:
            return segment.render(part, progress).split(1)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            made = self._bench.batches.each(run, alphas)
            return (levels(segment.finished(one, at)) for one, at in zip(made, alphas, strict=True))

        def pictures() -> Iterator[NDArray[Any]]:
            return (levels(whole(knot)) for knot in knots)

        unmarked = replace(settings, align=replace(settings.align, points=""))  # pairs know the points
        detail = [size, *(hash_of(whole(knot)) for knot in (knots[0], knots[-1]))]
        # the same two keyframes may follow one another twice, on two machines at a time
        names, pair = [knot.name for knot in knots], self._pairs.key(way.number)
        reel = key_of(deciding(unmarked, "frame"), times, names, detail, pair, way.twins)
        kept, batch = Reel(self._bench.folder / FRAMES / reel), self._bench.plan.clip.settings.batch
        track = Track(kept, self._bench.models.perception, render, batch, sizes.model, self._pairs.seen(way.number))
        track.start([knot.alpha for knot in knots], pictures)
        return track, reel
