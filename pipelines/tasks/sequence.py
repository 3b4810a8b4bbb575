"""From a plan to its frames: tasks for every keyframe and way, and the frames in the order they are shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from morph import pacing
from morph.pacing import Evenness
from morph.steps import drain
from pipelines.between.rendered_way import RenderedWay, WayFrames
from pipelines.request.plan import Plan
from pipelines.request.ways import survey_positions
from pipelines.tasks.frames import Frame, FrameReader, Rendered, StoredFrame
from pipelines.tasks.task import Embed, Fit, FitNames, Render, Runner, Survey


def render_frames(plan: Plan, run: Runner, folder: Path) -> Generator[Frame, None, Rendered]:
    """Render a clip by tasks that keep their work in ``folder``; yields every frame as soon as it is final.

    Keyframes are fitted, each by itself. Where distances are to share the frames out over several ways, each is
    surveyed first; then each is rendered. Frames of uniform pacing are final once they are rendered. Those of even
    pacing are when all of their way are: it measures what it has rendered and may move frames, so that usually
    up to half as many more are rendered than are shown. Whoever stops in between finds the work in ``folder`` the
    next time.
    """
    reader, result = FrameReader(plan, folder), []

    def stored() -> Iterator[StoredFrame]:
        result.append((yield from _render_in_order(plan, run, reader)))

    for index, frame in enumerate(stored()):
        yield reader.frame(index, frame)
    return result[0]


def render_to_store(plan: Plan, run: Runner, folder: Path) -> Rendered:
    """:func:`render_frames` to its end, without reading any frame."""
    return drain(_render_in_order(plan, run, FrameReader(plan, folder)), lambda frame: None)


def _render_in_order(plan: Plan, run: Runner, reader: FrameReader) -> Generator[StoredFrame, None, Rendered]:
    """Frames in the order in which they are shown, each when it is final.

    A hold repeats its frame, and a ping-pong appends the way back.
    """
    (embeddings,) = run([Embed()])
    fits = _fitted(plan, run)
    names = [(fits[first], fits[second]) for first, second in (way.ends for way in plan.ways)]
    positions = [survey_positions(way) for way in plan.ways]
    steps = _steps(plan, run, names, positions)
    tasks = [Render(way.number, names[way.number], positions[way.number], steps[way.number]) for way in plan.ways]
    frames: list[StoredFrame] = []
    ways: list[RenderedWay] = []
    yielded = 0  # of the way that is being rendered
    for part in run(tasks):
        reader.travel(part.number, part.field)
        before = ways[-1].gaps[-1] if ways else 0.0
        # a way's last frame is the first of the next one
        final = [frame for frame in _moving(plan, part, before) if frame.at < 1]
        for index in range(yielded, len(final)):
            held = plan.timing.holds[part.number] if index == 0 else 0
            new = [final[index], *[replace(final[index], distance=0.0)] * held]
            frames += new
            yield from new
        yielded = len(final)
        if isinstance(part, RenderedWay):
            ways.append(part)
            yielded = 0
    ending = _ending(plan, ways, frames)
    yield from ending
    frames += ending
    assert len(frames) == plan.timing.length
    round_trips = {name: decibels for way in ways for name, decibels in way.round_trips.items()}
    choices = {(way.number + alpha) / len(ways): choice for way in ways for alpha, choice in way.choices.items()}
    evenness = Evenness.of([gap for way in ways for gap in way.gaps])
    return Rendered(reader, frames, evenness, list(round_trips.values()), choices, embeddings, ways)


def _fitted(plan: Plan, run: Runner) -> list[str]:
    """The names of the fitted keyframes."""
    return list(run([Fit((number,)) for number in range(len(plan.clip.keyframes))]))


def _steps(plan: Plan, run: Runner, names: Sequence[FitNames], positions: Sequence[int]) -> list[int]:
    """In how many steps each way is gone: as was asked for, or in proportion to how far its ends look apart."""
    known = [way.steps for way in plan.ways if way.steps is not None]
    if len(known) == len(plan.ways):
        return known
    surveyed = list(run([Survey(way.number, names[way.number], positions[way.number]) for way in plan.ways]))
    power = sum(way.power for way in surveyed) / len(surveyed)  # one for all, or lengths could not be compared
    lengths = [pacing.length(way.gaps, power) for way in surveyed]
    return [1 + extra for extra in pacing.shares(lengths, plan.timing.moving - len(plan.ways))]


def _moving(plan: Plan, part: WayFrames | RenderedWay, before: float) -> list[StoredFrame]:
    """The frames of a way, or the first of them; ``before`` is the distance at which the first one is reached."""
    count = len(plan.ways)
    return [
        StoredFrame(reel, at, (part.number + at) / count, distance)
        for reel, at, distance in zip(part.reels, part.alphas, [before, *part.gaps], strict=True)
    ]


def _ending(plan: Plan, ways: Sequence[RenderedWay], frames: Sequence[StoredFrame]) -> list[StoredFrame]:
    """What is shown after the last way's frames but its last one, which a loop has shown at its start."""
    ending: list[StoredFrame] = []
    repeat, way = plan.clip.settings.repeat, ways[-1]
    if len(way.alphas) > 1 and repeat != "loop":
        last = _moving(plan, way, 0.0)[-1]
        ending = [last, *[replace(last, distance=0.0)] * plan.timing.holds[-1]]
    if repeat == "ping-pong":
        frames_there = [*frames, *ending]
        frames_back = zip(reversed(frames_there[1:-1]), reversed(frames_there[2:]), strict=True)
        ending += [replace(still, distance=after.distance) for still, after in frames_back]
    return ending
