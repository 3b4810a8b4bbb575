"""The work of a clip whose frames a diffusion model paints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from morph.editing.instruction import paints
from morph.errors import SettingsError
from morph.weights.semantic import weights_of
from pipelines.between.ranking import Chooser
from pipelines.between.rendered_way import Curve, RenderedWay, WayFrames
from pipelines.between.segment import Knot
from pipelines.request.ways import fits_jointly
from pipelines.tasks.anchoring import Anchoring
from pipelines.tasks.facts import Facts
from pipelines.tasks.fields import Fields
from pipelines.tasks.fits import Fits
from pipelines.tasks.joint_fits import JointFits
from pipelines.tasks.painted import PaintedTracks
from pipelines.tasks.showing import way_frames
from pipelines.tasks.store import hash_of
from pipelines.tasks.task import FitNames
from pipelines.tasks.texts import Texts
from pipelines.tasks.workbench import Workbench


class DiffusionMaker:
    """The work of one clip; see :class:`pipelines.tasks.task.Maker`.

    ``choose`` picks among an anchor's candidates in place of the ranking. ``embeddings`` is a file for what textual
    inversion fits, in place of the job's own.
    """

    def __init__(self, bench: Workbench, choose: Chooser | None = None, embeddings: Path | None = None) -> None:
        self._bench = bench
        self._models = bench.models
        self._plan = bench.plan
        self._fields = Fields(bench)
        self._texts = Texts(bench, embeddings)
        self._fits = Fits(bench)
        self._joint_fits = JointFits(bench)
        self._anchoring = Anchoring(bench, choose)
        self._tracks = PaintedTracks(bench, self._fields)

    def facts(self) -> Facts:
        """What will make the clip.

        Raises:
            InputError: a number of steps, a CLIP, a detector or weights that cannot be used.
        """
        models, model, clip = self._models, self._models.model, self._plan.clip
        settings = clip.settings
        if settings.infill.codes:
            weights_of(model.name)
        if not paints(model):
            raise SettingsError(f"model {model.name} only does what an instruction says, and makes no morphs")
        model.times(settings.steps, model.latent_shape(self._plan.sizes.model))
        prompts = [*(keyframe.prompt for keyframe in clip.keyframes), settings.infill.guide]
        overlong = model.overlong(dict.fromkeys(prompts))
        notices = [f"prompt {prompt!r} is longer than this model reads; its end is left out" for prompt in overlong]
        if model.controlnet is None and settings.pose.detector:
            notices.append(f"model {model.name} has no ControlNet (--controlnet), so poses guide nothing")
        guided = settings.infill.guided
        if settings.negative and not (settings.anchors.depth or settings.textual_inversion.steps or guided):
            notices.append(
                "negative guides anchors, textual inversion and infill.guidance alone; these settings have none"
            )
        if settings.infill.text and not any(site.kind == "cross" for site in model.denoiser.sites):
            notices.append(
                "infill.text shares attention to texts, which this model does not have: it attends to picture and "
                "text at once, and the picture's part alone is shared"
            )
        models.detector(settings)
        rankers = [models.ranker(way.settings) for way in self._plan.ways if way.anchors]
        clip_models = [ranker.clip.name for ranker in rankers if ranker]
        notices += [f"candidates are ranked by CLIP {name}" for name in clip_models]
        interpolator = models.interpolator(settings)
        if interpolator:
            notices.append(f"frames between rendered ones that are close are made by {interpolator.name}")
        return Facts.of(
            self._plan,
            model.device,
            models.dtype,
            offload=model.offload,
            model=model.name,
            weights=model.fingerprint,
            controlnet=model.controlnet_name,
            loras=model.merged,
            tokens=model.words,
            clip=clip_models[0] if clip_models else None,
            inbetween=interpolator.name if interpolator else None,
            landmarks=self._fields.landmarks_by,
            most_noise=model.geometry.most_noise,
            notices=tuple(notices),
        )

    def embed(self) -> str | None:
        """Fit the text embeddings of all keyframes, if the settings ask for it; a hash of them.

        Raises:
            SettingsError: an embeddings file that was fitted to something else.
        """
        texts = self._texts.embeddings()
        fitted = self._plan.clip.settings.textual_inversion.steps
        return hash_of(*texts.packed().values()) if fitted else None

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Fit and invert the keyframes of these numbers, unless they are kept; the names of all of them."""
        return self._fits.fit(numbers, self._texts.embeddings())

    def survey(self, number: int, names: FitNames, positions: int) -> Curve:
        """Measure the way of a number at so many positions."""
        way, knots = self._plan.ways[number], self._knots(number, names)
        track = self._tracks.draft(way, knots, positions) or self._tracks.full_size(way, knots)[0]
        track.survey(positions)
        return track.measured

    def render(self, number: int, names: FitNames, positions: int, steps: int) -> Iterator[WayFrames | RenderedWay]:
        """The way of a number in ``steps`` steps, after a survey of so many positions."""
        way, knots = self._plan.ways[number], self._knots(number, names)
        track, reel_name = self._tracks.full_size(way, knots)
        drafts = self._tracks.draft(way, knots, positions) or track
        drafts.survey(positions)
        frames = yield from way_frames(self._bench, self._fields, way, steps, drafts.measured, track, reel_name)
        choices = {knot.alpha: knot.choice for knot in knots if knot.choice is not None}
        fitted = knots[0].keyframe.lora
        rank = fitted.rank if fitted and way.settings.lora.adaptive and fits_jointly(way) else None
        round_trips = self._tracks.round_trips(way)
        yield RenderedWay.of(frames, track.measured, round_trips, choices, self._bench.tiled, rank)

    def _knots(self, number: int, names: FitNames) -> list[Knot]:
        """The knots of the way of a number, its ends among them."""
        way = self._plan.ways[number]
        alone = [(name, self._fits.load(end, name)) for end, name in zip(way.ends, names, strict=True)]
        first, second = self._joint_fits.fitted(way, alone)
        warp = self._fields.warp(number)
        anchors = self._anchoring.knots(number, len(self._plan.ways), way, (first, second), warp)
        return [Knot(0.0, first[1], first[0]), *anchors, Knot(1.0, second[1], second[0])]
