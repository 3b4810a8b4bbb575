"""The frames of a way that are shown: placed and rendered, those between them interpolated where that was asked."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict

from pipelines.between.rendered_way import Curve, WayFrames
from pipelines.request.settings import Settings
from pipelines.request.ways import Way
from pipelines.tasks.fields import Fields
from pipelines.tasks.store import FRAMES, Reel, key_of
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench


def way_frames(
    bench: Workbench, fields: Fields, way: Way, steps: int, surveyed: Curve, track: Track, reel_name: str
) -> Generator[WayFrames, None, WayFrames]:
    """Have the frames of a way in ``steps`` steps; yields the first of them as they are final, returns all.

    surveyed: how far apart the way looks. reel_name: of the track's reel. Frames that are not rendered are
    interpolated, into another.
    """
    settings, field = way.settings, fields.key(way.number)
    interpolator = bench.models.interpolator(settings)

    def frames(reels: list[str], alphas: list[float]) -> WayFrames:
        return WayFrames(way.number, reels, alphas, track.distances(alphas), field)

    placing = track.choose_positions(steps, settings, surveyed, rendered_numbers(steps, settings))
    while True:
        try:
            first = next(placing)
        except StopIteration as stop:
            alphas: list[float] = stop.value
            break
        if interpolator is None:  # what is rendered may still be measured against what is interpolated
            yield frames([reel_name] * len(first), first)
    if interpolator is None:
        return frames([reel_name] * len(alphas), alphas)
    interpolated_name = key_of(reel_name, asdict(settings.inbetween), alphas, settings.ease)
    track.interpolate_missing(alphas, settings, interpolator, Reel(bench.folder / FRAMES / interpolated_name))
    reels = [interpolated_name if alpha in track.interpolated else reel_name for alpha in alphas]
    return frames(reels, alphas)


def rendered_numbers(steps: int, settings: Settings) -> list[int] | None:
    """The frames that are rendered for sure where others may be interpolated; None for all."""
    frames = settings.inbetween.frames
    if frames == "0":
        return None
    return sorted({0, steps}) if frames == "auto" else sorted({*range(0, steps, int(frames) + 1), steps})
