"""The frames of a clip's ways as keyframes laid over one another: a dissolve, in register or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from morph.media.frame import to_rgb8
from morph.media.keyframe import to_levels
from morph.scaling import Size, reduced_pixels
from pipelines.between.finishing import dissolved
from pipelines.between.register import Register
from pipelines.request.ways import Way
from pipelines.tasks.fields import Fields
from pipelines.tasks.store import FRAMES, Reel, hash_of, key_of
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench


class DissolvedTracks:
    """Makes the tracks of clips that dissolve, and drafts of others; their reels are in the job's folder."""

    def __init__(self, bench: Workbench, fields: Fields) -> None:
        self._bench = bench
        self._fields = fields

    def track(self, way: Way, size: Size) -> tuple[Track, str]:
        """The track of a way's frames, of a size; the name of its reel."""
        pictures, depth = self._bench.pictures, way.settings.depth
        ends = [pictures.keyframe(number).pixels for number in way.ends]
        first, second = (reduced_pixels(end, size) for end in ends)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            warp = self._fields.warp(way.number)
            register = Register.of(first, second, way.settings.align, warp) if warp else None
            for alpha in alphas:
                frame = to_levels(dissolved(alpha, (first, second), register), depth)[0]
                if not self._bench.plan.forwards:  # nobody else tells of anything
                    self._bench.progress("render", 0, partial(_look, frame))
                yield frame

        def keyframes() -> Iterator[NDArray[Any]]:
            return (to_levels(end, depth)[0] for end in (first, second))

        content, field = [hash_of(end) for end in ends], self._fields.key(way.number)
        transition = way.settings.align.transition if field else None
        reel_name = key_of("dissolve", content, field, transition, size, depth, way.twins)
        reel, seen = Reel(self._bench.folder / FRAMES / reel_name), self._fields.seen(way.number)
        batch = self._bench.plan.clip.settings.batch
        track = Track(reel, self._bench.models.perception, render, batch, self._bench.plan.sizes.model, seen)
        track.start([0.0, 1.0], keyframes)
        return track, reel_name


def _look(frame: NDArray[Any]) -> Image.Image:
    """A frame as a picture that is shown while others are made."""
    return Image.fromarray(to_rgb8(frame))
