"""From a clip to its frames: tasks for every keyframe and segment, then the frames in the order they are shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph import pacing
from morph.blending.matte import cut_out, on_black
from morph.blending.warp import Warp
from morph.pacing import Evenness
from pipelines.between.placed import Choice, Placed
from pipelines.request.clip import Clip, timing
from pipelines.request.plan import Way, surveyed, ways
from pipelines.tasks.mattes import Mattes
from pipelines.tasks.store import FITS, Reel, Store

Tasks = Callable[[str, Sequence[tuple[Any, ...]]], list[Any]]
"""Runs one of ``Work``'s tasks, by its name, for each of several tuples of arguments, here or elsewhere."""


FRAMES = "frames"
"""Where a clip's folder has its reels."""


@dataclass(frozen=True)
class Frame:
    """One frame of a morph.

    colour uint8 or uint16 (H,W,3), straight if there is a matte; alpha, its position from the first keyframe, 0, to
    the last, 1; distance, LPIPS-Alex from the frame before it, both reduced to the model's size, 0 for the first.
    matte (H,W) in [0,1] if all keyframes have one.
    """

    index: int
    alpha: float
    colour: NDArray[Any]
    distance: float
    matte: NDArray[np.float32] | None = None

    def written(self, alpha: bool) -> NDArray[Any]:
        """As a file takes it: with transparency, or laid on black."""
        return self.rgba if alpha else self.pixels

    @cached_property  # several files may take it
    def pixels(self) -> NDArray[Any]:
        """The frame (H,W,3), laid on black where it is transparent."""
        return self.colour if self.matte is None else on_black(self.colour, self.matte)

    @cached_property
    def rgba(self) -> NDArray[Any]:
        """The frame (H,W,4) with its matte as straight alpha; a ValueError if it has none."""
        if self.matte is None:
            raise ValueError("this frame has no matte")
        return cut_out(self.colour, self.matte)

    @property
    def image(self) -> Image.Image:
        """The frame as a Pillow image of 8 bits, RGBA if it has a matte."""
        pixels = self.pixels if self.matte is None else self.rgba
        return Image.fromarray((pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels)


@dataclass(frozen=True)
class Still:
    """Where a frame is kept: its reel, its position there and on the whole clip, and LPIPS from the one before.

    LPIPS is measured at the size that the model works at, whatever that of the frames.
    """

    reel: str
    at: float
    alpha: float
    distance: float


@dataclass(frozen=True)
class Rendered:
    """A clip whose frames are all kept; iterating reads them one at a time.

    evenness: of the moving frames, as pacing, easing and times meant them to be. round_trips: dB of the knots
    that were captured. size: (width, height). choices: which candidate each anchor was, by its alpha.
    embeddings: a hash of the text embeddings, if any were fitted. placed: what each segment's rendering told.
    mattes: where all keyframes are transparent somewhere.
    """

    folder: Path
    stills: list[Still]
    size: tuple[int, int]
    evenness: Evenness
    round_trips: list[float]
    choices: dict[float, Choice]
    embeddings: str | None
    placed: Sequence[Placed]
    mattes: Mattes | None

    def digest(self) -> str:
        """A hash of all frames' colours."""
        digest = hashlib.blake2b(digest_size=12)
        for pixels in read_stills(self.folder, self.stills):
            digest.update(pixels.tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.stills)

    def __iter__(self) -> Iterator[Frame]:
        return self.part(range(len(self)))

    def part(self, numbers: range) -> Iterator[Frame]:
        """The frames of these numbers, one at a time."""
        stills = self.stills[numbers.start : numbers.stop]
        for index, still, colour in zip(numbers, stills, read_stills(self.folder, stills), strict=True):
            matte = self.mattes.at(still.alpha) if self.mattes else None
            yield Frame(index, still.alpha, colour, still.distance, matte)


def read_stills(folder: Path, stills: Iterable[Still]) -> Iterator[NDArray[Any]]:
    """Frames (H,W,3) uint8 or uint16 from the reels in ``folder``, one at a time.

    Raises:
        EncodeError: one is not there, or damaged.
    """
    name, reel = "", None
    for still in stills:
        if reel is None or still.reel != name:
            name, reel = still.reel, Reel(folder / still.reel)
        yield reel.frame(still.at)


def render_clip(clip: Clip, tasks: Tasks, folder: Path) -> Rendered:
    """Render a clip by tasks that keep what they make in ``folder``.

    Keyframes are fitted in batches. Where distances are to share the frames out over several segments, each is
    surveyed first; then each is rendered. Even pacing closes the loop as it renders: about a fifth more frames
    are rendered than are shown.
    """
    every = ways(clip)
    (texts,) = tasks("embed", [()])
    keys = _fitted(clip, tasks)
    ends = [(keys[number], keys[(number + 1) % len(keys)]) for number in range(len(every))]
    steps = [way.steps for way in every]
    counts = [surveyed(way) for way in every]
    if None in steps:
        gaps = tasks("survey", [(number, ends[number], counts[number]) for number in range(len(every))])
        extra = timing(clip.keyframes, clip.settings).moving - len(every)
        more = pacing.shares([pacing.length(own) for own in gaps], extra)
        steps = [1 + share for share in more]
    placed: Sequence[Placed] = tasks(
        "render", [(number, ends[number], counts[number], steps[number]) for number in range(len(every))]
    )
    trips = list({name: trip for one in placed for name, trip in one.round_trips.items()}.values())
    count = len(every)
    choices = {(i + at) / count: choice for i, one in enumerate(placed) for at, choice in one.choices.items()}
    stills = _shown(clip, placed)
    assert len(stills) == clip.length
    (first,) = read_stills(folder / FRAMES, stills[:1])
    height, width = first.shape[:2]
    size, evenness = (width, height), _evenness(clip, every, placed)

    def warp(number: int) -> Warp | None:
        name = placed[number].warp
        kept = Store(folder / FITS).load(name) if name else None
        return Warp.unpacked(kept[0]) if kept else None

    mattes = Mattes.of(clip, size, warp)
    return Rendered(folder / FRAMES, stills, size, evenness, trips, choices, texts, placed, mattes)


def _fitted(clip: Clip, tasks: Tasks) -> list[str]:
    """The keys of the fitted keyframes; neighbours with the same settings are fitted in one batch."""
    jobs = []
    numbers = range(len(clip.keyframes))
    for _, group in groupby(numbers, key=lambda number: clip.keyframes[number].settings.lora):
        alike = list(group)
        jobs += [(alike[at : at + clip.settings.batch],) for at in range(0, len(alike), clip.settings.batch)]
    return [key for keys in tasks("fit", jobs) for key in keys]


def _shown(clip: Clip, placed: Sequence[Placed]) -> list[Still]:
    """All frames in the order in which they are shown: held ones again, a ping-pong's back again."""
    holds = timing(clip.keyframes, clip.settings).holds
    stills: list[Still] = []
    for number, one in enumerate(placed):
        distances = [0.0, *one.gaps]
        if number:  # the keyframe is there already, as the last of the segment before
            distances[0] = placed[number - 1].gaps[-1]
        own = [
            Still(reel, at, (number + at) / len(placed), distance)
            for reel, at, distance in zip(one.reels, one.alphas, distances, strict=True)
        ]
        first = own[0]
        held = [Still(first.reel, first.at, first.alpha, 0.0)] * holds[number]
        stills += [first, *held, *own[1:-1]]
        last = own[-1]
    if len(last_alphas := placed[-1].alphas) > 1 and clip.settings.repeat != "loop":
        stills += [last, *[Still(last.reel, last_alphas[-1], last.alpha, 0.0)] * holds[-1]]
    if clip.settings.repeat == "ping-pong":
        back = zip(reversed(stills[1:-1]), reversed(stills[2:]), strict=True)
        stills += [Still(still.reel, still.at, still.alpha, after.distance) for still, after in back]
    return stills


def _evenness(clip: Clip, every: Sequence[Way], placed: Sequence[Placed]) -> Evenness:
    """How even the moving frames are, what easing and times make uneven on purpose left out."""
    timed = clip.keyframes[0].at is not None
    gaps: list[float] = []
    for way, one in zip(every, placed, strict=True):
        own = np.array(one.gaps)
        if len(own) and way.settings.ease != "none":
            own = own / np.square(pacing.eased(len(own), way.settings.ease) * len(own))
        if timed and own.sum():
            own = own / own.mean() * np.mean([np.mean(other.gaps) for other in placed])
        gaps += own.tolist()
    return Evenness.of(gaps)
