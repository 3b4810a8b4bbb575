"""The work of a clip whose frames are its keyframes laid over one another, in register or not: no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.between.placed import Placed, Shown
from pipelines.tasks.facts import Facts
from pipelines.tasks.overlay import Overlay
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.showing import shown_frames
from pipelines.tasks.store import hash_of
from pipelines.tasks.task import Ends
from pipelines.tasks.workbench import Workbench


class Dissolving:
    """The work of one clip; see :class:`pipelines.tasks.task.Work`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._plan = bench.plan
        self._pairs = Pairs(bench)
        self._overlay = Overlay(bench, self._pairs)

    def facts(self) -> Facts:
        """What will make the clip.

        Raises:
            InputError: what interpolates frames cannot be had.
        """
        interpolator = self._bench.models.interpolator(self._plan.clip.settings)
        return Facts.of(
            self._plan,
            self._bench.models.device,
            "float32",
            weights=self._bench.models.weights,
            inbetween=interpolator.name if interpolator else None,
            landmarks=self._pairs.landmarks_by,
        )

    def embed(self) -> None:
        """Nothing is said of the images to anybody."""
        return

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Nothing is learnt of the keyframes: hashes of their pixels."""
        return [hash_of(self._bench.pictures.keyframe(number).pixels) for number in numbers]

    def survey(self, number: int, ends: Ends, count: int) -> list[float]:
        """Measure the way of a number at ``count`` positions; the LPIPS between these."""
        track, _ = self._overlay.track(self._plan.ways[number], self._plan.sizes.model)
        track.survey(count)
        return track.measured.gaps

    def render(self, number: int, ends: Ends, count: int, steps: int) -> Iterator[Shown | Placed]:
        """The way of a number in ``steps`` steps, after a survey of ``count`` positions."""
        way, sizes = self._plan.ways[number], self._plan.sizes
        drafts, _ = self._overlay.track(way, sizes.model)
        drafts.survey(count)
        track, reel = self._overlay.track(way, sizes.frame)
        shown = yield from shown_frames(self._bench, self._pairs, way, steps, drafts.measured, track, reel)
        yield Placed.of(shown, track.measured)
