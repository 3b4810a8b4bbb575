"""From a plan to its frames: tasks for every keyframe and way, and the frames in the order they are shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from morph import pacing
from morph.pacing import Evenness
from pipelines.between.placed import Placed, Shown
from pipelines.request.plan import Plan
from pipelines.request.ways import surveyed
from pipelines.tasks.frames import Frame, Rendered, Still, Stills
from pipelines.tasks.task import Embed, Ends, Fit, Render, Runner, Survey


def render_clip(plan: Plan, run: Runner, folder: Path) -> Generator[Frame, None, Rendered]:
    """Render a clip by tasks that keep what they make in ``folder``; yields every frame when it stands.

    Keyframes are fitted in batches. Where distances are to share the frames out over several ways, each is
    surveyed first; then each is rendered. Frames of uniform pacing stand as soon as they are rendered, those of
    even pacing when their way has been measured: it closes the loop, and renders about a fifth more frames than
    are shown. Whoever stops in between finds all that was made in ``folder`` the next time.
    """
    source, whole = Stills(plan, folder), []

    def stills() -> Iterator[Still]:
        whole.append((yield from _stills(plan, run, source)))

    for index, still in enumerate(stills()):
        yield source.frame(index, still)
    return whole[0]


def rendered(plan: Plan, run: Runner, folder: Path) -> Rendered:
    """:func:`render_clip` to its end, without reading its frames."""
    stills = _stills(plan, run, Stills(plan, folder))
    while True:
        try:
            next(stills)
        except StopIteration as done:
            whole: Rendered = done.value
            return whole


def _stills(plan: Plan, run: Runner, source: Stills) -> Generator[Still, None, Rendered]:
    """All frames in the order in which they are shown, each when it stands: held ones, a ping-pong's back again."""
    (texts,) = run([Embed()])
    names = _fitted(plan, run)
    ends = [(names[way.ends[0]], names[way.ends[1]]) for way in plan.ways]
    counts = [surveyed(way) for way in plan.ways]
    steps = _steps(plan, run, ends, counts)
    tasks = [Render(way.number, ends[way.number], counts[way.number], steps[way.number]) for way in plan.ways]
    stills: list[Still] = []
    placed: list[Placed] = []
    told = 0  # of the way that is being rendered
    for part in run(tasks):
        source.travel(part.number, part.warp)
        before = placed[-1].gaps[-1] if placed else 0.0
        # a way's last frame is the first of the next one
        stand = [still for still in _moving(plan, part, before) if still.at < 1]
        for index in range(told, len(stand)):
            held = plan.timing.holds[part.number] if index == 0 else 0
            new = [stand[index], *[replace(stand[index], distance=0.0)] * held]
            stills += new
            yield from new
        told = len(stand)
        if isinstance(part, Placed):
            placed.append(part)
            told = 0
    ending = _ending(plan, placed, stills)
    yield from ending
    stills += ending
    assert len(stills) == plan.timing.length
    trips = {name: trip for one in placed for name, trip in one.round_trips.items()}
    count = len(plan.ways)
    choices = {(one.number + at) / count: choice for one in placed for at, choice in one.choices.items()}
    return Rendered(source, stills, _evenness(plan, placed), list(trips.values()), choices, texts, placed)


def _fitted(plan: Plan, run: Runner) -> list[str]:
    """The names of the fitted keyframes; neighbours with the same settings are fitted in one batch."""
    tasks, batch = [], plan.clip.settings.batch
    keyframes = plan.clip.keyframes
    for _, group in groupby(range(len(keyframes)), key=lambda number: keyframes[number].settings.lora):
        alike = tuple(group)
        tasks += [Fit(alike[at : at + batch]) for at in range(0, len(alike), batch)]
    return list(run(tasks))


def _steps(plan: Plan, run: Runner, ends: Sequence[Ends], counts: Sequence[int]) -> list[int]:
    """In how many steps each way is gone: as was asked for, or in proportion to how far its ends look apart."""
    known = [way.steps for way in plan.ways if way.steps is not None]
    if len(known) == len(plan.ways):
        return known
    gaps = run([Survey(way.number, ends[way.number], counts[way.number]) for way in plan.ways])
    more = pacing.shares([pacing.length(own) for own in gaps], plan.timing.moving - len(plan.ways))
    return [1 + share for share in more]


def _moving(plan: Plan, part: Shown | Placed, before: float) -> list[Still]:
    """The frames of a way, or the first of them; ``before`` is the distance at which the first one is reached."""
    count = len(plan.ways)
    return [
        Still(reel, at, (part.number + at) / count, distance)
        for reel, at, distance in zip(part.reels, part.alphas, [before, *part.gaps], strict=True)
    ]


def _ending(plan: Plan, placed: Sequence[Placed], stills: Sequence[Still]) -> list[Still]:
    """What is shown after the last way's frames but its last one, which a loop has shown at its start."""
    ending: list[Still] = []
    repeat, way = plan.clip.settings.repeat, placed[-1]
    if len(way.alphas) > 1 and repeat != "loop":
        last = _moving(plan, way, 0.0)[-1]
        ending = [last, *[replace(last, distance=0.0)] * plan.timing.holds[-1]]
    if repeat == "ping-pong":
        there = [*stills, *ending]
        back = zip(reversed(there[1:-1]), reversed(there[2:]), strict=True)
        ending += [replace(still, distance=after.distance) for still, after in back]
    return ending


def _evenness(plan: Plan, placed: Sequence[Placed]) -> Evenness:
    """How even the moving frames are, what easing and times make uneven on purpose left out."""
    timed = plan.clip.keyframes[0].at is not None
    gaps: list[float] = []
    for way, one in zip(plan.ways, placed, strict=True):
        own = np.array(one.gaps)
        if len(own) and way.settings.ease != "none":
            own = own / np.square(pacing.eased(len(own), way.settings.ease) * len(own))
        if timed and own.sum():
            own = own / own.mean() * np.mean([np.mean(other.gaps) for other in placed])
        gaps += own.tolist()
    return Evenness.of(gaps)
