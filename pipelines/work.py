"""The tasks that a clip is made of, for any machine that can reach its store.

Each takes and returns plain values, keeps what it makes, and does nothing that is kept already. So a task may
be run again, or elsewhere, and the frames are the same.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from morph.diffusion.textual_inversion import Embeddings, origin_of
from morph.errors import MorphError
from morph.media.keyframe import Keyframe, laid_on_black, load_keyframe, to_levels
from pipelines.anchors import Anchor, render_anchors
from pipelines.between import Between
from pipelines.clip import Clip, looped
from pipelines.keyframes import (
    CapturedKeyframe,
    FittedKeyframe,
    Progress,
    capture_keyframe,
    fit_embeddings,
    fit_keyframes,
    invert_keyframes,
)
from pipelines.mattes import Mattes
from pipelines.memory import Batches
from pipelines.models import Models
from pipelines.placed import CANDIDATES, Choice, Placed
from pipelines.plan import Way, drafts, fills_in, frame_size, ways
from pipelines.ranking import Chooser, candidate_sheet
from pipelines.segment import Knot, Segment, fit_anchors, unfitted
from pipelines.sequence import FRAMES, Tasks
from pipelines.settings import look
from pipelines.store import FITS, Reel, Store, hash_of, key_of
from pipelines.track import Track, rendered_numbers

Ends = tuple[str, str]
"""The keys of a segment's fitted keyframes."""
Times = tuple[int, ...]
"""Those at which a sampler visits a frame, from the noisiest down."""
VERSIONS = (version("morph"), torch.__version__)
"""What is kept by other code is made again."""
INFILL = ("steps", "adain", "noise", "attention", "sharing", "fade", "text", "depth")
"""Settings that decide what is filled in between knots."""
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
        progress: Progress = lambda stage, cost: None,
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
        self._choose = choose
        self._embeddings = embeddings
        self.keyframe = functools.lru_cache(clip.settings.batch)(self._keyframe)
        self._chosen: dict[int, list[Knot]] = {}
        self._texts: Embeddings | None = None
        self._captured: dict[tuple[str, Times, float], CapturedKeyframe] = {}
        self._batches = Batches(self.model, clip.settings.batch)

    def facts(self) -> dict[str, Any]:
        """What will make the clip, for its recipe; says on screen what a person should know before it starts.

        Raises:
            InputError: an image, a size, a number of steps, a CLIP or a detector that cannot be used.
        """
        model, settings = self.model, self.clip.settings
        model.schedule.times(settings.steps)
        notices: list[str] = []
        for keyframe in map(self.keyframe, self._numbers):
            notices += keyframe.notices
            if keyframe.alpha is not None and not self._mattes:
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
            "size": list(frame_size(settings.size, model.geometry)),
            "transparent": self._mattes is not None,
            "clip": clips[0] if clips else None,
            "inbetween": interpolator.name if interpolator else None,
        }

    def embed(self) -> str | None:
        """Fit the text embeddings of all keyframes, if the settings ask for it; a hash of them.

        Raises:
            SettingsError: an embeddings file that was fitted to something else.
        """
        texts = self._conditions()
        fitted = self.clip.settings.textual_inversion.steps
        return hash_of(texts.conditions, texts.negative) if fitted else None

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Fit and invert the keyframes of these numbers, unless they are kept; the keys of all of them.

        They are fitted side by side, so their settings of LoRA must be the same.
        """
        settings = self.clip.keyframes[numbers[0]].settings
        texts = self._conditions()
        inverted = any(map(fills_in, self._ways))
        names = [self._key(number, texts, inverted) for number in numbers]
        new = {name: at for at, name in enumerate(names) if self._store.load(name) is None}
        missing = list(new.values())  # the same keyframe twice is fitted once

        def run(part: Sequence[int]) -> list[FittedKeyframe]:
            rows = [numbers[at] for at in part]
            pixels = torch.cat([self.keyframe(row).pixels for row in rows])
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
        track = track or self._track(number, knots, self._times(number), self.progress)[0]
        track.survey(count)
        return track.measured.gaps

    def render(self, number: int, ends: Ends, count: int, steps: int) -> Placed:
        """The segment from keyframe ``number`` in ``steps`` steps, after a survey of ``count`` positions."""
        settings, knots = self._ways[number].settings, self._knots(number, ends)
        times = self._times(number)
        track, reel = self._track(number, knots, times, self.progress)
        surveyed = self._drafted(number, knots, count) or track
        surveyed.survey(count)
        shown = track.place(steps, settings, surveyed.measured, rendered_numbers(steps, settings))
        reels = [reel] * len(shown)
        if interpolator := self.models.interpolator(settings):
            filled = key_of(reel, asdict(settings.inbetween), count, steps, settings.pacing, settings.ease)
            track.fill_in(shown, settings, interpolator, Reel(self._folder / FRAMES / filled))
            reels = [filled if alpha in track.interpolated else reel for alpha in shown]
        trips = {name: own.round_trip for (name, at, _), own in self._captured.items() if at == times}
        choices = {knot.alpha: knot.choice for knot in knots if knot.choice is not None}
        return Placed(reels, shown, track.distances(shown), trips, choices, track.measured)

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
        images = torch.cat([self.keyframe(number).pixels for number in self._numbers])
        origin = origin_of(
            self.model, images, prompts, asdict(settings.textual_inversion) | {"seed": settings.seed}
        )
        if file and file.exists():
            return Embeddings.load(file, origin)

        def run(batch: int) -> Embeddings:
            return fit_embeddings(self.model, images, start, replace(settings, batch=batch), self.progress)

        key = key_of(origin)
        kept = self._store.load(key)
        texts = Embeddings(**kept[0]) if kept else self._batches.halving(run)
        if not kept:
            self._store.save({key: (asdict(texts), {})})
        if file:
            texts.save(file, origin)
        return texts

    def _key(self, number: int, texts: Embeddings, inverted: bool) -> str:
        """The name of a fitted keyframe: a hash of all that it depends on."""
        settings, model = self.clip.keyframes[number].settings, self.model
        content = hash_of(self.keyframe(number).pixels, texts.conditions[number], texts.negative)
        how = [asdict(settings.lora), settings.seed, settings.pose.detector if model.controlnet else None]
        steps = [settings.steps, settings.inversion_iterations] if inverted else None
        return key_of(VERSIONS, model.fingerprint, str(model.dtype), model.device.type, content, how, steps)

    def _fitted(self, name: str) -> FittedKeyframe:
        kept = self._store.load(name)
        if kept is None:
            raise MorphError(f"fitted keyframe {name} was removed or damaged while in use; run the command again")
        return FittedKeyframe.unpacked(kept[0], self.model.device)

    def _knots(self, number: int, ends: Ends) -> list[Knot]:
        """The knots of the segment from keyframe ``number``, its ends among them."""
        first, second = (self._fitted(name) for name in ends)
        anchors = self._anchors(number, first, second, ends)
        return [Knot(0.0, first, ends[0]), *anchors, Knot(1.0, second, ends[1])]

    def _times(self, number: int, taken: int | None = None) -> Times:
        """Those of the frames of the segment from keyframe ``number``, or of drafts of so many steps."""
        return self.model.schedule.times(self._ways[number].settings.steps, taken)

    def _drafted(self, number: int, knots: Sequence[Knot], count: int) -> Track | None:
        """Drafts of the segment, if it is to be measured by these; whatever they cost is spent on the survey."""
        if count <= len(knots) or not (steps := drafts(self._ways[number])):
            return None
        times = self._times(number, steps)
        return self._track(number, knots, times, lambda stage, cost: self.progress("survey", cost))[0]

    def _track(self, number: int, knots: Sequence[Knot], times: Times, progress: Progress) -> tuple[Track, str]:
        """The frames so far of the segment from keyframe ``number`` at a sampler's times; their reel's name."""
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

        segment = Segment(self.model, knots, settings, capture)

        def run(part: Sequence[float]) -> list[NDArray[Any]]:
            return list(to_levels(segment.render(part, progress), settings.depth))

        def render(alphas: Sequence[float]) -> NDArray[Any]:
            return np.stack(self._batches.each(run, alphas))

        def pictures() -> NDArray[Any]:
            return to_levels(torch.cat([knot.keyframe.pixels for knot in knots]), settings.depth)

        own = [getattr(settings, key) for key in INFILL]
        pose = settings.pose.scale if self.model.controlnet else None
        # the same two keyframes may follow one another twice, on two machines at a time
        reel = key_of(own, pose, times, [knot.name for knot in knots], self._twins(number))
        batch, seen = self.clip.settings.batch, self._mattes.seen(number) if self._mattes else None
        track = Track(Reel(self._folder / FRAMES / reel), self.models.perception, render, batch, seen)
        track.start([knot.alpha for knot in knots], pictures)
        return track, reel

    def _twins(self, number: int) -> int:
        """How many segments before this one have the same ends."""
        entries = looped(self.clip.keyframes, self.clip.settings)
        ends = [(a.image, a.prompt, b.image, b.prompt) for a, b in pairwise(entries)]
        return ends[:number].count(ends[number])

    def _keyframe(self, number: int) -> Keyframe:
        """An image at the size of the clip's frames, its colour extended if these will have mattes."""
        entry = self.clip.keyframes[number]
        size = frame_size(self.clip.settings.size, self.model.geometry)
        keyframe = load_keyframe(entry.image, entry.prompt, size, entry.settings.fit)
        return keyframe.extended() if self._mattes else keyframe

    @functools.cached_property
    def _mattes(self) -> Mattes | None:
        return Mattes.of(self.clip, frame_size(self.clip.settings.size, self.model.geometry))

    @property
    def _numbers(self) -> range:
        return range(len(self.clip.keyframes))

    def _anchors(self, number: int, first: FittedKeyframe, second: FittedKeyframe, ends: Ends) -> list[Knot]:
        """The anchors of the segment from keyframe ``number``: made, or kept."""
        way = self._ways[number]
        if not way.anchors:
            return []
        if number not in self._chosen:
            between = Between(self.model, first, second, way.settings)
            name = key_of("anchors", "chosen" if self._choose else "ranked", look(way.settings), ends)
            anchors = self._made(number, between, name)
            fitted = self._anchors_fitted(way, between, anchors, name)
            knots = [
                Knot(anchor.alpha, keyframe, key_of(ends, hash_of(anchor.latents)), anchor.choice)
                for anchor, keyframe in zip(anchors, fitted, strict=True)
            ]
            if not self._choose:
                return knots
            self._chosen[number] = knots  # nobody is asked twice
        return self._chosen[number]

    def _made(self, number: int, between: Between, name: str) -> list[Anchor]:
        """The anchors' pictures, kept level by level."""
        settings, count = self._ways[number].settings, len(self._ways)
        ranker = self.models.ranker(settings)

        def ask(alpha: float, candidates: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> Choice:
            assert ranker  # where there is a choice
            scores = ranker.scores(candidates, left, right).tolist()
            pictures, at = (candidates, left, right), (number + alpha) / count
            taken = self._choose(at, *pictures, scores) if self._choose else scores.index(max(scores))
            sheet = self._folder / CANDIDATES / f"{name}-{alpha:.9f}.png"
            candidate_sheet(sheet, *pictures)
            return Choice(taken, scores, sheet.name)

        def load(level: int) -> list[Anchor] | None:
            if not (kept := self._store.load(f"{name}-{level}")):
                return None
            tensors, said = kept
            alphas = json.loads(said["alphas"])
            choices = [one and Choice(**one) for one in json.loads(said["choices"])]
            rows = zip(alphas, tensors["latents"].to(self.model.device).split(1), choices, strict=True)
            return [Anchor(alpha, z, self.model.decode(z), choice) for alpha, z, choice in rows]

        def save(level: int, anchors: Sequence[Anchor]) -> None:
            said = {
                "alphas": json.dumps([anchor.alpha for anchor in anchors]),
                "choices": json.dumps([anchor.choice and asdict(anchor.choice) for anchor in anchors]),
            }
            latents = torch.cat([anchor.latents for anchor in anchors])
            self._store.save({f"{name}-{level}": ({"latents": latents}, said)})

        def run(batch: int) -> list[Anchor]:
            keeping = () if self._choose else (load, save)  # what a person chooses may change from run to run
            return render_anchors(between, replace(settings, batch=batch), ask, self.progress, *keeping)

        return self._batches.halving(run)

    def _anchors_fitted(
        self, way: Way, between: Between, anchors: Sequence[Anchor], name: str
    ) -> list[FittedKeyframe]:
        """Anchors as keyframes, kept batch by batch; their pictures alone where nothing starts from them."""
        if not fills_in(way):
            return [unfitted(between, anchor) for anchor in anchors]

        def run(part: Sequence[Anchor]) -> list[FittedKeyframe]:
            names = [f"{name}-{key_of(hash_of(anchor.latents))}" for anchor in part]
            kept = [self._store.load(own) for own in names]
            if all(kept):
                return [FittedKeyframe.unpacked(one[0], self.model.device) for one in kept if one]
            made = fit_anchors(between, part, way.settings, self.progress)
            self._store.save({own: (keyframe.packed(), {}) for own, keyframe in zip(names, made, strict=True)})
            return made

        return self._batches.each(run, anchors)


def in_process(work: Work) -> Tasks:
    """Tasks run one after the other, here."""

    def run(name: str, jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [getattr(work, name)(*job) for job in jobs]

    return run
