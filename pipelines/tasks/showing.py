"""The frames of a way that are shown: placed and rendered, those between them interpolated where that was asked."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict

from pipelines.between.placed import Curve, Shown
from pipelines.request.settings import Settings
from pipelines.request.ways import Way
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.store import FRAMES, Reel, key_of
from pipelines.tasks.track import Track
from pipelines.tasks.workbench import Workbench


def shown_frames(
    bench: Workbench, pairs: Pairs, way: Way, steps: int, surveyed: Curve, track: Track, reel: str
) -> Generator[Shown, None, Shown]:
    """Have the frames of a way in ``steps`` steps; yields the first of them as they stand for good, returns all.

    surveyed: how far apart the way looks at positions on it. reel: the name of the track's. Frames that are not
    rendered are interpolated, into another.
    """
    settings, warp = way.settings, pairs.key(way.number)
    interpolator = bench.models.interpolator(settings)

    def shown(reels: list[str], alphas: list[float]) -> Shown:
        return Shown(way.number, reels, alphas, track.distances(alphas), warp)

    placing = track.place(steps, settings, surveyed, rendered_numbers(steps, settings))
    while True:
        try:
            first = next(placing)
        except StopIteration as done:
            alphas: list[float] = done.value
            break
        if interpolator is None:  # what is rendered may still be measured against what is interpolated
            yield shown([reel] * len(first), first)
    if interpolator is None:
        return shown([reel] * len(alphas), alphas)
    filled = key_of(reel, asdict(settings.inbetween), alphas, settings.ease)
    track.fill_in(alphas, settings, interpolator, Reel(bench.folder / FRAMES / filled))
    return shown([filled if alpha in track.interpolated else reel for alpha in alphas], alphas)


def rendered_numbers(steps: int, settings: Settings) -> list[int] | None:
    """The frames that are rendered for sure where others may be interpolated; None for all."""
    frames = settings.inbetween.frames
    if frames == "0":
        return None
    return sorted({0, steps}) if frames == "auto" else sorted({*range(0, steps, int(frames) + 1), steps})
