"""A finished clip as an editor sees it: cut into parts at its keyframes, with notes, over files of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from morph.media.pattern import StillPattern
from morph.media.stills import FIRST_FRAME
from morph.media.timecode import Timecode


@dataclass(frozen=True)
class Part:
    """A stretch of a clip between keyframes: ``length`` frames from frame ``first``, counted from 0."""

    name: str
    first: int
    length: int

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.first + self.length


@dataclass(frozen=True)
class Marker:
    """A note on one frame of the clip, counted from 0; ``comment`` may be a prompt."""

    frame: int
    name: str
    comment: str = ""


@dataclass(frozen=True)
class NumberedStills:
    """The clip as numbered stills; number ``first`` is its first frame.

    An editing program takes the number of a still for its timecode, so ``first`` is also where the source begins.
    """

    stills: StillPattern
    first: int = FIRST_FRAME

    def path(self, frame: int) -> Path:
        """The file of a frame of the clip, counted from 0."""
        return self.stills.path(self.first + frame)


@dataclass(frozen=True)
class Movie:
    """The clip as one movie. ``stamped``: the file carries the clip's own timecode, else it begins at 0."""

    path: Path
    stamped: bool = False


@dataclass(frozen=True)
class PartMovies:
    """The clip as one movie per part, each holding what :func:`movie_frames` says.

    ``stamped``: each file carries the timecode that its first frame has in the clip, else it begins at 0.
    """

    paths: tuple[Path, ...]
    handles: int = 0
    stamped: bool = False


Media = NumberedStills | Movie | PartMovies


@dataclass(frozen=True)
class Sound:
    """The clip's sound, from its first frame on: a file of its own, or the movie that it is in.

    seconds: how long it lasts. channels; rate: samples a second. stamped: as of a :class:`Movie`.
    """

    path: Path
    seconds: Fraction
    channels: int = 2
    rate: int = 48000
    stamped: bool = False


@dataclass(frozen=True)
class Cut:
    """A finished clip as an editor sees it.

    Attributes:
        name: of the sequence.
        fps: exact.
        size: width and height.
        parts: they follow each other without gaps from frame 0.
        media: where the frames are.
        markers: notes on frames.
        start: timecode of the first frame; None counts from 0.
        sound: what is heard with it; None is silence.

    Raises:
        ValueError: parts with gaps, markers outside the clip, another rate in ``start``, or not one movie per part.
    """

    name: str
    fps: Fraction
    size: tuple[int, int]
    parts: tuple[Part, ...]
    media: Media
    markers: tuple[Marker, ...] = ()
    start: Timecode | None = None
    sound: Sound | None = None

    def __post_init__(self) -> None:
        """Refuse what is no cut of a clip."""
        ends = [0, *(part.end for part in self.parts)]
        if not self.parts or any(
            part.first != end or part.length < 1 for part, end in zip(self.parts, ends, strict=False)
        ):
            raise ValueError("the parts of a cut follow each other without gaps from frame 0")
        if any(not 0 <= marker.frame < self.length for marker in self.markers):
            raise ValueError(f"a marker lies outside the {self.length} frames of the cut")
        if self.start and self.start.fps != self.fps:
            raise ValueError(f"the start counts {self.start.fps} fps, the cut {self.fps}")
        if isinstance(self.media, PartMovies) and len(self.media.paths) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts need as many movies, there are {len(self.media.paths)}")

    @property
    def length(self) -> int:
        """Frames of the clip."""
        return self.parts[-1].end


def parts_from(starts: Sequence[int], length: int, names: Sequence[str]) -> tuple[Part, ...]:
    """Cut a clip of ``length`` frames where its parts start: the frames of all keyframes that a way leads on from.

    ``starts`` ascends from 0; there is one name per start.
    """
    ends = [*starts[1:], length]
    return tuple(Part(name, at, end - at) for name, at, end in zip(names, starts, ends, strict=True))


def movie_frames(parts: Sequence[Part], handles: int) -> tuple[range, ...]:
    """The frames of the clip that each part's movie holds: its own, and up to ``handles`` on either side.

    Raises:
        ValueError: negative handles.
    """
    if handles < 0:
        raise ValueError(f"handles are frames, at least 0; this is {handles}")
    end = parts[-1].end
    return tuple(range(max(0, part.first - handles), min(end, part.end + handles)) for part in parts)


@dataclass(frozen=True)
class Source:
    """Where a part's frames are.

    number: of the file or folder, counted from 1. held: the frames of the clip that it holds. offset: from a frame
    of the clip to the source's own number for it.
    """

    number: int
    path: Path
    held: range
    offset: int


def sources(cut: Cut) -> list[Source]:
    """One source per part."""
    media = cut.media
    everything = range(cut.length)
    start = cut.start.frame if cut.start else 0
    if isinstance(media, NumberedStills):
        return [Source(1, media.stills.folder, everything, media.first)] * len(cut.parts)
    if isinstance(media, Movie):
        return [Source(1, media.path, everything, start if media.stamped else 0)] * len(cut.parts)
    rows = zip(media.paths, movie_frames(cut.parts, media.handles), strict=True)
    return [
        Source(number, path, held, start if media.stamped else -held.start)
        for number, (path, held) in enumerate(rows, 1)
    ]


def sound_source(cut: Cut) -> Source | None:
    """Where the sound is: as many frames as it lasts, the first of them with the clip's first."""
    if not cut.sound:
        return None
    known = {source.path: source.number for source in sources(cut)}
    number = known.get(cut.sound.path, max(known.values()) + 1)
    offset = cut.start.frame if cut.start and cut.sound.stamped else 0
    return Source(number, cut.sound.path, range(max(1, round(cut.sound.seconds * cut.fps))), offset)


def files(cut: Cut) -> list[Path]:
    """Every file that a timeline of ``cut`` points at."""
    sound = [cut.sound.path] if cut.sound else []
    if isinstance(cut.media, NumberedStills):
        return [cut.media.path(frame) for frame in range(cut.length)] + sound
    return [*([cut.media.path] if isinstance(cut.media, Movie) else cut.media.paths), *sound]
