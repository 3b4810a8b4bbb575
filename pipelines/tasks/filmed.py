"""The frames of a clip's ways as a video model makes them, all of a way in one run, which is kept as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morph.latest import Latest
from morph.media.keyframe import to_levels
from pipelines.between.filmed import FilmedInfill, places, told
from pipelines.between.finishing import End, finished
from pipelines.request.costs import FILMED
from pipelines.request.ways import Way
from pipelines.tasks.facts import VERSIONS
from pipelines.tasks.fields import Fields
from pipelines.tasks.memory import Batches
from pipelines.tasks.store import FRAMES, Reel, hash_of, key_of
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench


class FilmedTracks:
    """Makes the tracks of a clip's ways; their reels, and those of films as made, are in the job's folder."""

    def __init__(self, bench: Workbench, fields: Fields) -> None:
        self._bench = bench
        self._fields = fields
        self._model = bench.models.video
        self._tiled: set[int] = set()
        self._films: Latest[Way, Reel] = Latest(1)  # whether it is whole is looked at once

    def track(self, way: Way) -> tuple[Track, str]:
        """The track of a way's frames, at full size; the name of its reel.

        The film is made when a frame between the ends is first asked for.
        """
        bench, settings, sizes = self._bench, way.settings, self._bench.plan.sizes
        first, second = (bench.pictures.keyframe(number).pixels for number in way.ends)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            film = self._films.get(way, self._film_of)
            ends = [
                End.of(bench.pictures.pixels(number), _pixels(film, at), full)
                for number, at, full in zip(way.ends, (0.0, 1.0), (first, second), strict=True)
            ]
            for alpha in alphas:
                frame = finished(_pixels(film, alpha), alpha, (ends[0], ends[1]), settings.fade)
                yield to_levels(frame, settings.depth)[0]

        def keyframes() -> Iterator[NDArray[Any]]:
            return (to_levels(end, settings.depth)[0] for end in (first, second))

        content = hash_of(first), hash_of(second)
        reel_name = key_of(self._key(way), content, sizes.frame, settings.depth, settings.fade)
        reel, batch = Reel(bench.folder / FRAMES / reel_name), bench.plan.clip.settings.batch
        track = Track(
            *(reel, bench.models.perception, render, batch, sizes.model, self._fields.seen(way.number)),
            places=places(settings),
        )
        track.start([0.0, 1.0], keyframes)
        return track, reel_name

    def _key(self, way: Way) -> str:
        """The name of a way's film, by all that decides it."""
        settings, model = way.settings, self._model
        content = [hash_of(self._bench.pictures.pixels(number)) for number in way.ends]
        asked = settings.video.frames, settings.steps, settings.infill.guidance, settings.negative, settings.seed
        where = model.fingerprint, str(model.dtype), model.device.type
        # the same two keyframes may follow one another twice, on two machines at a time
        return key_of("film", VERSIONS, where, content, told(self._prompts(way), settings), asked, way.twins)

    def _prompts(self, way: Way) -> tuple[str, str]:
        first, second = (self._bench.plan.clip.keyframes[number].prompt for number in way.ends)
        return first, second

    def tiled(self, way: Way) -> bool:
        """Whether the film of a way was coded in tiles here, since memory had run out."""
        return way.number in self._tiled

    def _film_of(self, way: Way) -> Reel:
        """The film of a way as the model makes it, at the model's size: kept, or made."""
        reel, all_places = Reel(self._bench.folder / FRAMES / self._key(way)), places(way.settings)
        if not reel.holds(all_places):
            first, second = (self._bench.pictures.pixels(number) for number in way.ends)
            infill = FilmedInfill(self._model, (first, second), self._prompts(way), way.settings)
            frames = Batches(self._model, 1).alone(lambda: infill.render(all_places, self._bench.progress))
            if self._model.tiled:
                self._tiled.add(way.number)
            reel.keep(all_places, (to_levels(frame, FILMED)[0] for frame in frames.split(1)))
        return reel


def _pixels(film: Reel, alpha: float) -> Tensor:
    """A frame of a film (1,3,h,w) in [-1,1]."""
    levels = torch.from_numpy(film.frame(alpha).astype(np.float32)).permute(2, 0, 1)[None]
    return levels / ((2**FILMED - 1) / 2) - 1
