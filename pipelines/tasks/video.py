"""The work of a clip whose frames a video model makes, all of a way at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.between.filmed import places, told
from pipelines.between.rendered_way import Curve, RenderedWay, WayFrames
from pipelines.tasks.facts import Facts
from pipelines.tasks.fields import Fields
from pipelines.tasks.filmed import FilmedTracks
from pipelines.tasks.showing import way_frames
from pipelines.tasks.store import hash_of
from pipelines.tasks.task import FitNames
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench


class VideoMaker:
    """The work of one clip; see :class:`pipelines.tasks.task.Maker`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._plan = bench.plan
        self._fields = Fields(bench)
        self._tracks = FilmedTracks(bench, self._fields)

    def facts(self) -> Facts:
        """What will make the clip.

        Raises:
            SettingsError: a number of frames that the model cannot make.
        """
        plan, model = self._plan, self._bench.models.video
        model.check_frames(plan.clip.settings.video.frames)
        return Facts.of(
            plan,
            model.device,
            str(model.dtype).removeprefix("torch."),
            model=model.name,
            weights=model.fingerprint,
            notices=tuple(self._notices()),
        )

    def _notices(self) -> Iterator[str]:
        plan, settings = self._plan, self._plan.clip.settings
        keyframes = plan.clip.keyframes
        texts = [told((keyframes[a].prompt, keyframes[b].prompt), settings) for a, b in (w.ends for w in plan.ways)]
        for text in self._bench.models.video.overlong(dict.fromkeys([*texts, settings.negative])):
            yield f"prompt {text!r} is longer than this model reads; its end is left out"
        made, shown = settings.video.frames, max(round(way.expected) + 1 for way in plan.ways)
        if shown > made:
            yield (
                f"about {shown} frames are shown of a way of which the model makes {made}: some are shown "
                "more than once; show fewer and let morph interpolate make the others, or set video.frames"
            )
        if plan.sizes.frame != plan.sizes.model and any(way.settings.fade == 0 for way in plan.ways):
            yield "fade is 0, so that frames between images are enlarged without any of the images' detail"

    def embed(self) -> None:
        """Texts are read as they are."""
        return

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Nothing is learnt of the keyframes: hashes of their pixels."""
        return [hash_of(self._bench.pictures.keyframe(number).pixels) for number in numbers]

    def survey(self, number: int, names: FitNames, positions: int) -> Curve:
        """Measure all that the model makes of the way of a number."""
        track, _ = self._measured(number, positions)
        return track.measured

    def render(self, number: int, names: FitNames, positions: int, steps: int) -> Iterator[WayFrames | RenderedWay]:
        """The way of a number in ``steps`` steps, all that the model makes of it measured if any positions are."""
        track, reel_name = self._measured(number, positions)
        way = self._plan.ways[number]
        frames = yield from way_frames(self._bench, self._fields, way, steps, track.measured, track, reel_name)
        yield RenderedWay.of(frames, track.measured, tiled=self._tracks.tiled(way))

    def _measured(self, number: int, positions: int) -> tuple[Track, str]:
        """The track of a way, with all that the model makes of it where more than its ends are to be known."""
        way = self._plan.ways[number]
        track, reel_name = self._tracks.track(way)
        if positions > 2:
            track.ensure(places(way.settings))
        return track, reel_name
