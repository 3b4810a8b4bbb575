"""The work of a clip whose frames are its keyframes laid over one another, in register or not: no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.between.placed import Placed, Shown
from pipelines.request.plan import Plan
from pipelines.tasks.facts import Facts
from pipelines.tasks.models import Models
from pipelines.tasks.overlay import Overlay
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.store import FITS, FRAMES, Store, hash_of
from pipelines.tasks.task import Ends
from pipelines.tasks.track import shown_parts


class Dissolving:
    """The work of one clip; what it makes is kept in ``folder``. See :class:`pipelines.tasks.task.Work`."""

    def __init__(self, models: Models, plan: Plan, folder: Path) -> None:
        self._models = models
        self._plan = plan
        self._folder = folder
        self._pictures = Pictures(plan)
        self._pairs = Pairs(models, plan, self._pictures, Store(folder / FITS), folder)
        self._overlay = Overlay(models, plan, self._pictures, self._pairs, folder)

    def facts(self) -> Facts:
        """What will make the clip.

        Raises:
            InputError: what interpolates frames cannot be had.
        """
        interpolator = self._models.interpolator(self._plan.clip.settings)
        return Facts.of(
            self._plan,
            self._models.device,
            "float32",
            weights=self._models.weights,
            inbetween=interpolator.name if interpolator else None,
            landmarks=self._pairs.landmarks_by,
        )

    def embed(self) -> None:
        """Nothing is said of the images to anybody."""
        return

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Nothing is learnt of the keyframes: hashes of their pixels."""
        return [hash_of(self._pictures.keyframe(number).pixels) for number in numbers]

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
        interpolator = self._models.interpolator(way.settings)
        shown = yield from shown_parts(
            track, reel, way, steps, drafts.measured, interpolator, self._folder / FRAMES, self._pairs.key(number)
        )
        yield Placed.of(shown, track.measured)
