"""The tasks that a clip is made of, for any machine that can reach its store.

Each takes and returns plain values, keeps what it makes, and does nothing that is kept already. So a task may
be run again, or elsewhere, and the frames are the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from morph.diffusion.textual_inversion import Embeddings, origin_of
from morph.errors import MorphError
from morph.media.keyframe import laid_on_black, to_levels
from morph.scaling import Size, enlarged
from pipelines.between.keyframes import (
    CapturedKeyframe,
    FittedKeyframe,
    Progress,
    capture_keyframe,
    fit_embeddings,
    fit_keyframes,
    invert_keyframes,
    silent,
)
from pipelines.between.placed import CANDIDATES, Placed
from pipelines.between.ranking import Chooser
from pipelines.between.segment import Knot, Segment
from pipelines.request.clip import Clip
from pipelines.request.plan import captures, drafts, ways
from pipelines.request.settings import deciding, naming
from pipelines.tasks.anchoring import Anchoring
from pipelines.tasks.dissolving import Dissolve, Dissolving
from pipelines.tasks.memory import Batches
from pipelines.tasks.models import Models
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.sequence import FRAMES, Tasks
from pipelines.tasks.store import FITS, Reel, Store, hash_of, key_of
from pipelines.tasks.track import Track, fill, rendered_numbers

Ends = tuple[str, str]
"""The keys of a segment's fitted keyframes."""
Times = tuple[int, ...]
"""Those at which a sampler visits a frame, from the noisiest down."""
VERSIONS = (version("morph"), torch.__version__)
"""What is kept by other code is made again."""
log = logging.getLogger("morph")


class Work:
    """The tasks of one clip, with loaded models; what they make is kept in ``folder``.

    ``choose`` picks among an anchor's candidates in place of the ranking. ``embeddings`` is a file for what
    textual inversion fits, in place of the store.
    """

    def __init__(
        self,
        models: Models,
        clip: Clip,
        folder: Path,
        progress: Progress = silent,
        choose: Chooser | None = None,
        embeddings: Path | None = None,
    ) -> None:
        self.models = models
        self.model = models.model
        self.clip = clip
        self.progress = progress
        self._store = Store(folder / FITS)
        self._folder = folder
        self._ways = ways(clip)
        self._embeddings = embeddings
        self._pictures = Pictures(clip, self.model.geometry)
        self._pairs = Pairs(models, self._pictures, self._ways, self._store, folder)
        self._dissolve = Dissolve(models, self._pictures, self._pairs, self._ways, folder, clip.settings.batch)
        self._texts: Embeddings | None = None
        self._captured: dict[tuple[str, Times, float], CapturedKeyframe] = {}
        self._batches = Batches(self.model, clip.settings.batch)
        sheets = folder / CANDIDATES
        self._anchoring = Anchoring(models, self._store, self._batches, sheets, progress, choose)

    def facts(self) -> dict[str, Any]:
        """What will make the clip, for its recipe; says on screen what a person should know before it starts.

        Raises:
            InputError: an image, points, a size, a number of steps, a CLIP or a detector that cannot be used.
        """
        model, settings = self.model, self.clip.settings
        model.schedule.times(settings.steps)
        for number in range(len(self._ways)):
            self._pictures.marked(number)  # refuses points that cannot be used
        notices: list[str] = []
        for keyframe in map(self._pictures.keyframe, self._numbers):
            notices += keyframe.notices
            if keyframe.alpha is not None and not self._pictures.transparent:
                notices.append(laid_on_black(keyframe.source))
        overlong = model.overlong(dict.fromkeys(keyframe.prompt for keyframe in self.clip.keyframes))
        notices += [
            f"prompt {prompt!r} is longer than this model reads; its end is left out" for prompt in overlong
        ]
        if model.controlnet is None and settings.pose.detector:
            notices.append(f"model {model.name} has no ControlNet (--controlnet), so poses guide nothing")
        if settings.negative and not (settings.anchors.depth or settings.textual_inversion.steps):
            notices.append("negative guides anchors and textual inversion alone; these settings have neither")
        self.models.detector(settings)
        rankers = [self.models.ranker(way.settings) for way in self._ways if way.anchors]
        clips = [ranker.clip.name for ranker in rankers if ranker]
        notices += [f"candidates are ranked by CLIP {name}" for name in clips]
        interpolator = self.models.interpolator(settings)
        if interpolator:
            notices.append(f"frames between rendered ones that are close are made by {interpolator.name}")
        for notice in dict.fromkeys(notices):
            log.warning("%s", notice)
        return {
            "morph": VERSIONS[0],
            "torch": VERSIONS[1],
            "model": model.name,
            "weights": model.fingerprint,
            "controlnet": model.controlnet_name,
            "device": str(model.device),
            "dtype": str(model.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "size": list(self._pictures.sizes.frame),
            "model_size": list(self._pictures.sizes.model),
            "transparent": self._pictures.transparent,
            "clip": clips[0] if clips else None,
            "inbetween": interpolator.name if interpolator else None,
            "landmarks": self._pairs.landmarks_by,
        }

    def embed(self) -> str | None:
        """Fit the text embeddings of all keyframes, if the settings ask for it; a hash of them.

        Raises:
            SettingsError: an embeddings file that was fitted to something else.
        """
        texts = self._conditions()
        fitted = self.clip.settings.textual_inversion.steps
        return hash_of(*texts.packed().values()) if fitted else None

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Fit and invert the keyframes of these numbers, unless they are kept; the keys of all of them.

        They are fitted side by side, so their settings of LoRA must be the same.
        """
        settings = self.clip.keyframes[numbers[0]].settings
        texts = self._conditions()
        inverted = any(map(captures, self._ways))
        names = [self._key(number, texts, inverted) for number in numbers]
        new = {name: at for at, name in enumerate(names) if self._store.load(name) is None}
        missing = list(new.values())  # the same keyframe twice is fitted once

        def run(part: Sequence[int]) -> list[FittedKeyframe]:
            rows = [numbers[at] for at in part]
            pixels = torch.cat([self._pictures.pixels(row) for row in rows])
            own = Embeddings(texts.conditions[rows], texts.negative)
            detector = self.models.detector(settings)
            made = fit_keyframes(self.model, pixels, own, settings, self.progress, detector)
            for row in (row for row, keyframe in zip(rows, made, strict=True) if keyframe.pose == ()):
                log.warning("%s: nobody was found, so no pose guides the frames", self.clip.keyframes[row].image)
            if inverted:
                made = invert_keyframes(self.model, made, settings, self.progress, [0.0] * len(made))
            return made

        made = zip(missing, self._batches.each(run, missing), strict=True)
        self._store.save({names[at]: (fitted.packed(), {}) for at, fitted in made})
        return names

    def survey(self, number: int, ends: Ends, count: int) -> list[float]:
        """Measure the segment from keyframe ``number`` at ``count`` positions; the LPIPS between these."""
        knots = self._knots(number, ends)
        track = self._drafted(number, knots, count)
        track = (
            track or self._track(number, knots, self._times(number), self.progress, self._pictures.sizes.frame)[0]
        )
        track.survey(count)
        return track.measured.gaps

    def render(self, number: int, ends: Ends, count: int, steps: int) -> Placed:
        """The segment from keyframe ``number`` in ``steps`` steps, after a survey of ``count`` positions."""
        settings, knots = self._ways[number].settings, self._knots(number, ends)
        times = self._times(number)
        track, reel = self._track(number, knots, times, self.progress, self._pictures.sizes.frame)
        surveyed = self._drafted(number, knots, count) or track
        surveyed.survey(count)
        shown = track.place(steps, settings, surveyed.measured, rendered_numbers(steps, settings))
        reels = fill(track, reel, shown, settings, self.models.interpolator(settings), self._folder / FRAMES)
        trips = {name: own.round_trip for (name, at, _), own in self._captured.items() if at == times}
        choices = {knot.alpha: knot.choice for knot in knots if knot.choice is not None}
        return Placed(reels, shown, track.distances(shown), trips, choices, track.measured, self._pairs.key(number))

    def _conditions(self) -> Embeddings:
        """Text embeddings of all keyframes; textual inversion fits them together, since they share a negative."""
        if self._texts is None:
            settings = self.clip.settings
            prompts = [keyframe.prompt for keyframe in self.clip.keyframes]
            self._texts = Embeddings(self.model.embed(prompts), self.model.embed([settings.negative]))
            if settings.textual_inversion.steps:
                self._texts = self._inverted(self._texts, [*prompts, settings.negative])
        return self._texts

    def _inverted(self, start: Embeddings, prompts: list[str]) -> Embeddings:
        """Embeddings fitted from those of the prompts: read where they are kept, and otherwise made and kept."""
        settings, file = self.clip.settings, self._embeddings
        images = torch.cat([self._pictures.pixels(number) for number in self._numbers])
        origin = origin_of(
            self.model, images, prompts, asdict(settings.textual_inversion) | {"seed": settings.seed}
        )
        if file and file.exists():
            return Embeddings.load(file, origin)

        def run(batch: int) -> Embeddings:
            return fit_embeddings(self.model, images, start, replace(settings, batch=batch), self.progress)

        key = key_of(origin)
        kept = self._store.load(key)
        texts = Embeddings.unpacked(kept[0]) if kept else self._batches.halving(run)
        if not kept:
            self._store.save({key: (texts.packed(), {})})
        if file:
            texts.save(file, origin)
        return texts

    def _key(self, number: int, texts: Embeddings, inverted: bool) -> str:
        """The name of a fitted keyframe: a hash of all that it depends on."""
        settings, model = self.clip.keyframes[number].settings, self.model
        said = Embeddings(texts.conditions[[number]], texts.negative).packed()
        content = hash_of(self._pictures.pixels(number), *said.values())
        how = {key: value for key, value in deciding(settings, "fit").items() if key not in naming("size")}
        steps = settings.steps if inverted else None
        return key_of(VERSIONS, model.fingerprint, str(model.dtype), model.device.type, content, how, steps)

    def _fitted(self, name: str) -> FittedKeyframe:
        kept = self._store.load(name)
        if kept is None:
            raise MorphError(f"fitted keyframe {name} was removed or damaged while in use; run the command again")
        return FittedKeyframe.unpacked(kept[0], self.model.device)

    def _knots(self, number: int, ends: Ends) -> list[Knot]:
        """The knots of the segment from keyframe ``number``, its ends among them."""
        first, second = fitted = [(name, self._fitted(name)) for name in ends]
        warp = self._pairs.warp(number)
        anchors = self._anchoring.knots(number, len(self._ways), self._ways[number], fitted, warp)
        return [Knot(0.0, first[1], first[0]), *anchors, Knot(1.0, second[1], second[0])]

    def _times(self, number: int, taken: int | None = None) -> Times:
        """Those of the frames of the segment from keyframe ``number``, or of drafts of so many steps."""
        return self.model.schedule.times(self._ways[number].settings.steps, taken)

    def _drafted(self, number: int, knots: Sequence[Knot], count: int) -> Track | None:
        """Drafts of the segment, if it is to be measured by these; whatever they cost is spent on the survey.

        They stay at the size at which they are looked at.
        """
        if count <= len(knots) or not (steps := drafts(self._ways[number])):
            return None
        if self._ways[number].settings.align.on:  # in register they tell how the way looks, and cost nothing
            return self._dissolve.track(number, self._pictures.sizes.model)[0]
        times = self._times(number, steps)

        def progress(stage: str, cost: int, preview: Callable[[], Image] | None = None) -> None:
            self.progress("survey", cost, preview)

        return self._track(number, knots, times, progress, self._pictures.sizes.model)[0]

    def _track(
        self, number: int, knots: Sequence[Knot], times: Times, progress: Progress, size: Size
    ) -> tuple[Track, str]:
        """The frames so far of the segment from keyframe ``number``, of a size and at a sampler's times.

        With the name of their reel.
        """
        settings = self._ways[number].settings
        # features are large: those of other segments go, but for a keyframe that this one starts with
        wanted = {knot.name for knot in knots}
        self._captured = {key: own for key, own in self._captured.items() if key[0] in wanted}

        def capture(knot: Knot) -> CapturedKeyframe:
            key = knot.name, times, settings.attention
            if key not in self._captured:
                at = knot.alpha
                captured = capture_keyframe(self.model, knot.keyframe, settings, times, progress, at)
                self._captured[key] = captured
            return self._captured[key]

        def whole(knot: Knot) -> Tensor:
            if knot.alpha in (0, 1) and size == self._pictures.sizes.frame:
                return self._pictures.keyframe(self._pictures.ends(number)[int(knot.alpha)]).pixels
            return enlarged(knot.keyframe.pixels, size).clamp(-1, 1)  # an anchor has no more

        segment = Segment(self.model, knots, settings, capture, whole, self._pairs.warp(number))

        def levels(pixels: Tensor) -> NDArray[Any]:
            return to_levels(pixels, settings.depth)[0]

        def run(part: Sequence[float]) -> Sequence[Tensor]:
            return segment.render(part, progress).split(1)

        def render(alphas: Sequence[float]) -> Iterator[NDArray[Any]]:
            made = self._batches.each(run, alphas)
            return (levels(segment.finished(one, at)) for one, at in zip(made, alphas, strict=True))

        def pictures() -> Iterator[NDArray[Any]]:
            return (levels(whole(knot)) for knot in knots)

        own = deciding(
            replace(settings, align=replace(settings.align, points="")), "frame"
        )  # pairs know the points
        detail = [size, *(hash_of(whole(knot)) for knot in (knots[0], knots[-1]))]
        # the same two keyframes may follow one another twice, on two machines at a time
        names, twins = [knot.name for knot in knots], self._pictures.twins(number)
        reel = key_of(own, times, names, detail, self._pairs.key(number), twins)
        kept, batch = Reel(self._folder / FRAMES / reel), self.clip.settings.batch
        seen = self._pairs.seen(number)
        track = Track(kept, self.models.perception, render, batch, self._pictures.sizes.model, seen)
        track.start([knot.alpha for knot in knots], pictures)
        return track, reel

    @property
    def _numbers(self) -> range:
        return range(len(self.clip.keyframes))


Tasking = Work | Dissolving
"""Whoever carries out the tasks of a clip."""


def work_of(
    models: Models,
    clip: Clip,
    folder: Path,
    progress: Progress = silent,
    choose: Chooser | None = None,
    embeddings: Path | None = None,
) -> Tasking:
    """The tasks of a clip: with its model, or without where it needs none."""
    if clip.settings.between == "dissolve":
        return Dissolving(models, clip, folder)
    return Work(models, clip, folder, progress, choose, embeddings)


def in_process(work: Tasking) -> Tasks:
    """Tasks run one after the other, here."""

    def run(name: str, jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [getattr(work, name)(*job) for job in jobs]

    return run
