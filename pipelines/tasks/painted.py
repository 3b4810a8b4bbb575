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
from pipelines.request.ways import Way, draft_steps
from pipelines.tasks.dissolved import DissolvedTracks
from pipelines.tasks.fields import Fields
from pipelines.tasks.store import FRAMES, Reel, hash_of, key_of
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench

Times = tuple[int, ...]
"""Those at which a sampler visits a frame, from the noisiest down."""


class PaintedTracks:
    """Makes the tracks of a clip's ways; their reels are in the job's folder."""

    def __init__(self, bench: Workbench, fields: Fields) -> None:
        self._bench = bench
        self._model = bench.models.model
        self._fields = fields
        self._dissolved = DissolvedTracks(bench, fields)
        self._captured: dict[tuple[str, Times, float], CapturedKeyframe] = {}

    def full_size(self, way: Way, knots: Sequence[Knot]) -> tuple[Track, str]:
        """The track of a way's frames, of full size and by all steps; the name of its reel."""
        return self._track(way, knots, self._times(way), self._bench.progress, self._bench.plan.sizes.frame)

    def draft(self, way: Way, knots: Sequence[Knot], positions: int) -> Track | None:
        """The track of a way's drafts, if it is to be measured by these; what they cost is spent on the survey.

        They stay at the size at which they are looked at.
        """
        if positions <= len(knots) or not (steps := draft_steps(way)):
            return None
        if way.settings.align.on:  # in register they tell how the way looks, and cost nothing
            return self._dissolved.track(way, self._bench.plan.sizes.model)[0]

        def progress(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
            self._bench.progress("survey", cost, preview)

        return self._track(way, knots, self._times(way, steps), progress, self._bench.plan.sizes.model)[0]

    def round_trips(self, way: Way) -> dict[str, float]:
        """How well the knots of frames of full size came back, in dB, by their names."""
        times = self._times(way)
        return {name: knot.round_trip for (name, visited, _), knot in self._captured.items() if visited == times}

    def _times(self, way: Way, steps: int | None = None) -> Times:
        """Those of the frames of a way, or of drafts of so many steps."""
        shape = self._model.latent_shape(self._bench.plan.sizes.model)
        infill = way.settings.infill
        return self._model.times(way.settings.steps, shape, steps or infill.steps or None, infill.skip)

    def _track(
        self, way: Way, knots: Sequence[Knot], times: Times, progress: Progress, size: Size
    ) -> tuple[Track, str]:
        """The track of a way's frames, of a size and at a sampler's times; the name of its reel."""
        settings, sizes = way.settings, self._bench.plan.sizes
        # features are large: those of other segments go, but for a keyframe that this one starts with
        wanted = {knot.name for knot in knots}
        self._captured = {key: knot for key, knot in self._captured.items() if key[0] in wanted}

        def capture(knot: Knot) -> CapturedKeyframe:
            key = knot.name, times, settings.attention  # of all that decides it, only this may differ by way
            if key not in self._captured:
                self._captured[key] = capture_keyframe(
                    self._model, knot.keyframe, settings, times, progress, knot.alpha
                )
            return self._captured[key]

        def full_pixels(knot: Knot) -> Tensor:
            if knot.alpha in (0, 1) and size == sizes.frame:
                return self._bench.pictures.keyframe(way.ends[int(knot.alpha)]).pixels
            return enlarged(knot.keyframe.pixels, size).clamp(-1, 1)  # an anchor has no more

        segment = Segment(self._model, knots, settings, capture, full_pixels, self._fields.warp(way.number))

        def levels(pixels: Tensor) -> NDArray[Any]:
            return to_levels(pixels, settings.depth)[0]

        def run(part: Sequence[float]) -> Sequence[Tensor]:
            return segment.render(part, progress).split(1)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            rendered = self._bench.batches.each(run, alphas)
            return (levels(segment.finished(frame, alpha)) for frame, alpha in zip(rendered, alphas, strict=True))

        def pictures() -> Iterator[NDArray[Any]]:
            return (levels(full_pixels(knot)) for knot in knots)

        unmarked = replace(settings, align=replace(settings.align, points=""))  # fields know the points
        detail = [size, *(hash_of(full_pixels(knot)) for knot in (knots[0], knots[-1]))]
        # the same two keyframes may follow one another twice, on two machines at a time
        names, field = [knot.name for knot in knots], self._fields.key(way.number)
        reel_name = key_of(deciding(unmarked, "frame"), times, names, detail, field, way.twins)
        reel, batch = Reel(self._bench.folder / FRAMES / reel_name), self._bench.plan.clip.settings.batch
        track = Track(
            reel, self._bench.models.perception, render, batch, sizes.model, self._fields.seen(way.number)
        )
        track.start([knot.alpha for knot in knots], pictures)
        return track, reel_name
