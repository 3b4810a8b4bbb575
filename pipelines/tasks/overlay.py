"""The frames of a clip's ways as keyframes laid over one another: a dissolve, in register or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from morph.media.keyframe import to_levels
from morph.scaling import Size, reduced_pixels
from pipelines.between.finishing import dissolved
from pipelines.request.plan import Plan
from pipelines.request.ways import Way
from pipelines.tasks.models import Models
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.store import FRAMES, Reel, hash_of, key_of
from pipelines.tasks.track import Track


class Overlay:
    """Makes the tracks of clips that dissolve, and drafts of others; their reels are in the job's ``folder``."""

    def __init__(self, models: Models, plan: Plan, pictures: Pictures, pairs: Pairs, folder: Path) -> None:
        self._models = models
        self._plan = plan
        self._pictures = pictures
        self._pairs = pairs
        self._folder = folder

    def track(self, way: Way, size: Size) -> tuple[Track, str]:
        """The frames so far of a way, at a size; the name of their reel."""
        pictures, depth = self._pictures, way.settings.depth
        ends = [pictures.keyframe(end).pixels for end in way.ends]
        first, second = (reduced_pixels(end, size) for end in ends)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            warp = self._pairs.warp(way.number)
            for alpha in alphas:
                yield to_levels(dissolved(alpha, (first, second), warp), depth)[0]

        def keyframes() -> Iterator[NDArray[Any]]:
            return (to_levels(end, depth)[0] for end in (first, second))

        content, align = [hash_of(end) for end in ends], self._pairs.key(way.number)
        reel = key_of("dissolve", content, align, size, depth, way.twins)
        kept, seen = Reel(self._folder / FRAMES / reel), self._pairs.seen(way.number)
        batch = self._plan.clip.settings.batch
        track = Track(kept, self._models.perception, render, batch, self._plan.sizes.model, seen)
        track.start([0.0, 1.0], keyframes)
        return track, reel
