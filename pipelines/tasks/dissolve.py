"""The work of a clip whose frames are its keyframes laid over one another, in register or not: no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.between.rendered_way import Curve, RenderedWay, WayFrames
from pipelines.tasks.dissolved import DissolvedTracks
from pipelines.tasks.facts import Facts
from pipelines.tasks.fields import Fields
from pipelines.tasks.showing import way_frames
from pipelines.tasks.store import hash_of
from pipelines.tasks.task import FitNames
from pipelines.tasks.workbench import Workbench


class DissolveMaker:
    """The work of one clip; see :class:`pipelines.tasks.task.Maker`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._plan = bench.plan
        self._fields = Fields(bench)
        self._tracks = DissolvedTracks(bench, self._fields)

    def facts(self) -> Facts:
        """What will make the clip.

        Raises:
            InputError: what interpolates frames cannot be had.
        """
        models = self._bench.models
        interpolator = models.interpolator(self._plan.clip.settings)
        edits = self._plan.clip.edits
        return Facts.of(
            self._plan,
            models.device,
            models.dtype if edits else "float32",
            model=models.model.name if edits else None,
            weights=models.weights if edits else None,
            inbetween=interpolator.name if interpolator else None,
            landmarks=self._fields.landmarks_by,
        )

    def embed(self) -> None:
        """Nothing is said of the images to anybody."""
        return

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Nothing is learnt of the keyframes: hashes of their pixels."""
        return [hash_of(self._bench.pictures.keyframe(number).pixels) for number in numbers]

    def survey(self, number: int, names: FitNames, positions: int) -> Curve:
        """Measure the way of a number at so many positions."""
        track, _ = self._tracks.track(self._plan.ways[number], self._plan.sizes.model)
        track.survey(positions)
        return track.measured

    def render(self, number: int, names: FitNames, positions: int, steps: int) -> Iterator[WayFrames | RenderedWay]:
        """The way of a number in ``steps`` steps, after a survey of so many positions."""
        way, sizes = self._plan.ways[number], self._plan.sizes
        drafts, _ = self._tracks.track(way, sizes.model)
        drafts.survey(positions)
        track, reel_name = self._tracks.track(way, sizes.frame)
        frames = yield from way_frames(self._bench, self._fields, way, steps, drafts.measured, track, reel_name)
        yield RenderedWay.of(frames, track.measured)
