"""The tasks that a clip is made of, for any machine that can reach its store.

Each takes and returns plain values, keeps what it makes, and does nothing that is kept already. So a task may
be run again, or elsewhere, and the frames are the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from morph.diffusion.textual_inversion import Embeddings, origin_of
from morph.errors import MorphError
from morph.media.keyframe import Keyframe, load_keyframe, to_uint8
from pipelines.anchors import Anchor, render_anchors
from pipelines.between import Between
from pipelines.clip import Clip
from pipelines.keyframes import (
    CapturedKeyframe,
    FittedKeyframe,
    Progress,
    capture_keyframe,
    fit_embeddings,
    fit_keyframes,
    invert_keyframes,
    shared_steps,
)
from pipelines.models import Models
from pipelines.plan import fills_in, frame_size, ways
from pipelines.ranking import Chooser
from pipelines.segment import Knot, Segment, fit_anchors, unfitted
from pipelines.sequence import FRAMES, Tasks
from pipelines.settings import look
from pipelines.store import Reel, Store, hash_of, key_of
from pipelines.track import Placed, Track

T = TypeVar("T")
R = TypeVar("R")
Ends = tuple[str, str]
"""The keys of a segment's fitted keyframes."""
FITS = "fits"
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
        self._keyframes: list[Keyframe] = []
        self._texts: Embeddings | None = None
        self._captured: dict[str, CapturedKeyframe] = {}
        self._batch = clip.settings.batch

    @property
    def keyframes(self) -> list[Keyframe]:
        """The clip's images at the size of its frames.

        Raises:
            InputError: an image that cannot be used, or a size that the model cannot take.
        """
        if not self._keyframes:
            size = frame_size(self.clip.settings.size, self.model.geometry)
            entries = self.clip.keyframes
            self._keyframes = [load_keyframe(e.image, e.prompt, size, e.settings.fit) for e in entries]
        return self._keyframes

    def facts(self) -> dict[str, Any]:
        """What will make the clip, for its recipe; says on screen what a person should know before it starts.

        Raises:
            InputError: an image, a size, a number of steps, a CLIP or a detector that cannot be used.
        """
        model, settings = self.model, self.clip.settings
        model.schedule.times(settings.steps)
        notices = [notice for keyframe in self.keyframes for notice in keyframe.notices]
        overlong = model.overlong(dict.fromkeys(keyframe.prompt for keyframe in self.keyframes))
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
        texts = self._embeddings
        return {
            "morph": version("morph"),
            "torch": torch.__version__,
            "model": model.name,
            "weights": model.fingerprint,
            "controlnet": model.controlnet_name,
            "device": str(model.device),
            "dtype": str(model.dtype).removeprefix("torch."),
            "clip": clips[0] if clips else None,
            "inbetween": interpolator.name if interpolator else None,
            "embeddings": hash_of(self._conditions().conditions) if texts else None,
        }

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
            pixels = torch.cat([self.keyframes[row].pixels for row in rows])
            own = Embeddings(texts.conditions[rows], texts.negative)
            detector = self.models.detector(settings)
            made = fit_keyframes(self.model, pixels, own, settings, self.progress, detector)
            for row in (row for row, keyframe in zip(rows, made, strict=True) if keyframe.pose == ()):
                log.warning("%s: nobody was found, so no pose guides the frames", self.clip.keyframes[row].image)
            if inverted:
                made = invert_keyframes(self.model, made, settings, self.progress, [0.0] * len(made))
            return made

        for at, fitted in zip(missing, self._in_batches(run, missing), strict=True):
            self._store.save(names[at], fitted.packed(), {})
        return names

    def survey(self, number: int, ends: Ends, count: int) -> list[float]:
        """Measure the segment from keyframe ``number`` at ``count`` positions; the LPIPS between these."""
        _, track, _ = self._open(number, ends)
        track.survey(count)
        return track.gaps

    def render(self, number: int, ends: Ends, count: int, steps: int) -> Placed:
        """The segment from keyframe ``number`` in ``steps`` steps, after a survey of ``count`` positions."""
        segment, track, reel = self._open(number, ends)
        settings = self._ways[number].settings
        track.survey(count)
        shown = track.place(steps, settings, self.models.interpolator(settings))
        trips = [own.round_trip for own in self._captured.values()]
        choices = {knot.alpha: knot.choice for knot in segment.knots if knot.choice is not None}
        return Placed(reel, shown, track.distances(shown), trips, choices)

    def _conditions(self) -> Embeddings:
        """Text embeddings of all keyframes; textual inversion fits them together, since they share a negative.

        Raises:
            SettingsError: an embeddings file that was fitted to something else.
        """
        if self._texts is None:
            settings = self.clip.settings
            if not settings.textual_inversion.steps:
                self._texts = fit_embeddings(self.model, self.keyframes, settings, self.progress)
                return self._texts
            images = torch.cat([keyframe.pixels for keyframe in self.keyframes])
            prompts = [*(keyframe.prompt for keyframe in self.keyframes), settings.negative]
            options = asdict(settings.textual_inversion) | {"seed": settings.seed}
            origin = origin_of(self.model, images, prompts, options)
            path = self._embeddings or self._folder / FITS / f"{key_of(origin)}.safetensors"
            if path.exists():
                self._texts = Embeddings.load(path, origin)
            else:

                def run(batch: int) -> Embeddings:
                    return fit_embeddings(self.model, self.keyframes, replace(settings, batch=batch), self.progress)

                self._texts = self._halving(run)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._texts.save(path, origin)
        return self._texts

    def _key(self, number: int, texts: Embeddings, inverted: bool) -> str:
        """The name of a fitted keyframe: a hash of all that it depends on."""
        settings, model = self.clip.keyframes[number].settings, self.model
        content = hash_of(self.keyframes[number].pixels, texts.conditions[number], texts.negative)
        how = [asdict(settings.lora), settings.seed, asdict(settings.pose) if model.controlnet else None]
        steps = [settings.steps, settings.inversion_iterations] if inverted else None
        return key_of(model.fingerprint, str(model.dtype), model.device.type, content, how, steps)

    def _fitted(self, name: str) -> FittedKeyframe:
        kept = self._store.load(name)
        if kept is None:
            raise MorphError(f"fitted keyframe {name} was removed or damaged while in use; run the command again")
        return FittedKeyframe.unpacked(kept[0], self.model.device)

    def _open(self, number: int, ends: Ends) -> tuple[Segment, Track, str]:
        """The segment from keyframe ``number``, the track of its frames so far, and the name of their reel."""
        way = self._ways[number]
        first, second = (self._fitted(name) for name in ends)
        knots = [Knot(0.0, first), *self._anchors(number, first, second, ends), Knot(1.0, second)]
        inner = [key_of(ends, hash_of(knot.keyframe.latents)) for knot in knots[1:-1]]
        names = dict(zip((knot.alpha for knot in knots), (ends[0], *inner, ends[1]), strict=True))
        share = shared_steps(way.settings)
        # features are large: those of other segments go, but for a keyframe that this one starts with
        wanted = {f"{name} {share}" for name in names.values()}
        self._captured = {name: own for name, own in self._captured.items() if name in wanted}

        def capture(knot: Knot) -> CapturedKeyframe:
            name = f"{names[knot.alpha]} {share}"
            if name not in self._captured:
                captured = capture_keyframe(self.model, knot.keyframe, way.settings, self.progress, knot.alpha)
                self._captured[name] = captured
            return self._captured[name]

        segment = Segment(self.model, knots, way.settings, capture)

        def run(part: Sequence[float]) -> list[NDArray[np.uint8]]:
            return list(to_uint8(segment.render(part, self.progress)))

        def render(alphas: Sequence[float]) -> NDArray[np.uint8]:
            return np.stack(self._in_batches(run, alphas))

        def pictures() -> NDArray[np.uint8]:
            return to_uint8(torch.cat([knot.keyframe.pixels for knot in knots]))

        reel = key_of(look(way.settings), list(names.values()))
        track = Track(Reel(self._folder / FRAMES / reel), self.models.perception, render, self.clip.settings.batch)
        track.start([knot.alpha for knot in knots], pictures)
        return segment, track, reel

    def _anchors(self, number: int, first: FittedKeyframe, second: FittedKeyframe, ends: Ends) -> list[Knot]:
        """The anchors of the segment from keyframe ``number``: made, or kept."""
        way, count = self._ways[number], len(self._ways)
        settings = way.settings
        if not way.anchors:
            return []
        name = key_of("anchors", look(settings), ends, fills_in(way), self.clip.settings.batch)
        names = [f"{name}-{i}" for i in range(1, 2**settings.anchors.depth)]
        # what a person chooses may change from run to run
        found = [] if self._choose else [kept for kept in map(self._store.load, names) if kept]
        if len(found) == len(names):
            return [
                Knot(
                    float(said["alpha"]),
                    FittedKeyframe.unpacked(tensors, self.model.device),
                    json.loads(said["choice"]),
                )
                for tensors, said in found
            ]
        between = Between(self.model, first, second, settings)
        choose = self._choose or self.models.ranker(settings) or _only

        def ask(alpha: float, *pictures: torch.Tensor) -> int:
            return choose((number + alpha) / count, *pictures)

        def run(batch: int) -> list[Anchor]:
            return render_anchors(between, replace(settings, batch=batch), ask, self.progress)

        def fit(part: Sequence[Anchor]) -> list[FittedKeyframe]:
            if fills_in(way):
                return fit_anchors(between, part, settings, self.progress)
            return [unfitted(between, anchor) for anchor in part]

        anchors = self._halving(run)
        fitted = self._in_batches(fit, anchors)
        for own, anchor, keyframe in zip(names, anchors, fitted, strict=True):
            said = {"alpha": repr(anchor.alpha), "choice": json.dumps(anchor.choice)}
            self._store.save(own, keyframe.packed(), said)
        return [Knot(a.alpha, keyframe, a.choice) for a, keyframe in zip(anchors, fitted, strict=True)]

    def _in_batches(self, run: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
        """``run`` on all items, as many at once as memory has room for."""
        done: list[R] = []

        def part(batch: int) -> Sequence[R]:
            return run(items[len(done) : len(done) + batch])

        while len(done) < len(items):
            done += self._halving(part)
        return done

    def _halving(self, run: Callable[[int], T]) -> T:
        """``run`` with a batch that fits: where memory runs out it is halved, then the autoencoder is tiled."""
        while True:
            try:
                return run(self._batch)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error) or (self._batch == 1 and self.model.tiled):
                    raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if self._batch > 1:
                self._batch //= 2
                log.warning("out of memory: going on with batches of %d", self._batch)
            else:
                self.model.tile()
                log.warning("out of memory: going on with the autoencoder in tiles, which can leave faint seams")


def in_process(work: Work) -> Tasks:
    """Tasks run one after the other, here."""

    def run(name: str, jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [getattr(work, name)(*job) for job in jobs]

    return run


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    full = "can't allocate memory" in str(error) or "out of memory" in str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or full


def _only(alpha: float, candidates: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> int:
    """Choose where there is no choice."""
    return 0
