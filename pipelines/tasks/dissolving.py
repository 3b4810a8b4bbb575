"""The tasks of a clip whose frames are its keyframes laid over one another, in register or not: no model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from morph.media.keyframe import laid_on_black, to_levels
from morph.scaling import Size, reduced_pixels
from pipelines.between.finishing import dissolved
from pipelines.between.placed import Placed
from pipelines.request.clip import Clip
from pipelines.request.plan import Way, ways
from pipelines.tasks.models import Models
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.sequence import FRAMES
from pipelines.tasks.store import FITS, Reel, Store, hash_of, key_of
from pipelines.tasks.track import Track, fill, rendered_numbers

log = logging.getLogger("morph")
Ends = tuple[str, str]
"""The keys of a segment's keyframes."""


class Dissolving:
    """The tasks of one clip; what they make is kept in ``folder``. See :mod:`pipelines.tasks.work`."""

    def __init__(self, models: Models, clip: Clip, folder: Path) -> None:
        self._models = models
        self._clip = clip
        self._folder = folder
        self._ways = ways(clip)
        self._pictures = Pictures(clip, models.geometry(clip.model))
        self._pairs = Pairs(models, self._pictures, self._ways, Store(folder / FITS), folder)
        batch = clip.settings.batch
        self._dissolve = Dissolve(models, self._pictures, self._pairs, self._ways, folder, batch)

    def facts(self) -> dict[str, Any]:
        """What will make the clip, for its recipe; says on screen what a person should know before it starts.

        Raises:
            InputError: an image, points or a size that cannot be used.
        """
        for number in range(len(self._ways)):
            self._pictures.marked(number)  # refuses points that cannot be used
        notices: list[str] = []
        for number in range(len(self._clip.keyframes)):
            keyframe = self._pictures.keyframe(number)
            notices += keyframe.notices
            if keyframe.alpha is not None and not self._pictures.transparent:
                notices.append(laid_on_black(keyframe.source))
        interpolator = self._models.interpolator(self._clip.settings)
        for notice in dict.fromkeys(notices):
            log.warning("%s", notice)
        return {
            "morph": version("morph"),
            "torch": torch.__version__,
            "model": None,
            "weights": self._models.weights,
            "controlnet": None,
            "device": str(self._models.device),
            "dtype": "float32",
            "threads": torch.get_num_threads(),
            "size": list(self._pictures.sizes.frame),
            "model_size": list(self._pictures.sizes.model),
            "transparent": self._pictures.transparent,
            "clip": None,
            "inbetween": interpolator.name if interpolator else None,
            "landmarks": self._pairs.landmarks_by,
        }

    def embed(self) -> None:
        """Nothing is said of the images to anybody."""
        return

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Nothing is learnt of the keyframes: hashes of their pixels."""
        return [hash_of(self._pictures.keyframe(number).pixels) for number in numbers]

    def survey(self, number: int, ends: Ends, count: int) -> list[float]:
        """Measure the segment from keyframe ``number`` at ``count`` positions; the LPIPS between these."""
        track, _ = self._dissolve.track(number, self._pictures.sizes.model)
        track.survey(count)
        return track.measured.gaps

    def render(self, number: int, ends: Ends, count: int, steps: int) -> Placed:
        """The segment from keyframe ``number`` in ``steps`` steps, after a survey of ``count`` positions."""
        settings = self._ways[number].settings
        drafts, _ = self._dissolve.track(number, self._pictures.sizes.model)
        drafts.survey(count)
        track, reel = self._dissolve.track(number, self._pictures.sizes.frame)
        shown = track.place(steps, settings, drafts.measured, rendered_numbers(steps, settings))
        reels = fill(track, reel, shown, settings, self._models.interpolator(settings), self._folder / FRAMES)
        return Placed(reels, shown, track.distances(shown), {}, {}, track.measured, self._pairs.key(number))


class Dissolve:
    """Frames that are keyframes laid over one another: those of such clips, and drafts of others."""

    def __init__(
        self, models: Models, pictures: Pictures, pairs: Pairs, ways: Sequence[Way], folder: Path, batch: int
    ) -> None:
        self._models = models
        self._pictures = pictures
        self._pairs = pairs
        self._ways = ways
        self._folder = folder
        self._batch = batch

    def track(self, number: int, size: Size) -> tuple[Track, str]:
        """The frames so far of the segment from keyframe ``number``, at a size; the name of their reel."""
        pictures, depth = self._pictures, self._ways[number].settings.depth
        ends = [pictures.keyframe(end).pixels for end in pictures.ends(number)]
        first, second = (reduced_pixels(end, size) for end in ends)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            warp = self._pairs.warp(number)
            for alpha in alphas:
                yield to_levels(dissolved(alpha, (first, second), warp), depth)[0]

        def keyframes() -> Iterator[NDArray[Any]]:
            return (to_levels(end, depth)[0] for end in (first, second))

        content, align = [hash_of(end) for end in ends], self._pairs.key(number)
        reel = key_of("dissolve", content, align, size, depth, pictures.twins(number))
        kept, seen = Reel(self._folder / FRAMES / reel), self._pairs.seen(number)
        track = Track(kept, self._models.perception, render, self._batch, pictures.sizes.model, seen)
        track.start([0.0, 1.0], keyframes)
        return track, reel
