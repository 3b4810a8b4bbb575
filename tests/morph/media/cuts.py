"""A cut of sixteen frames over real files, and timelines read back."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio

from morph.media.cut import Cut, Marker, Media, Movie, NumberedStills, PartMovies, Sound, parts_from
from morph.media.pattern import StillPattern
from morph.media.stills import FrameFolder
from morph.media.timecode import Timecode

FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
CLOCKS = [(Fraction(24), ":"), (Fraction(25), ":"), (FILM, ":"), (NTSC, ":"), (NTSC, ";")]
SIZE = (8, 6)
PARTS = parts_from((0, 5, 8), 16, ("cat to dog", "dog to fox", "fox to cat"))
MARKERS = (Marker(0, "cat", "a cat"), Marker(5, "dog"), Marker(8, "fox", "a red fox"), Marker(15, "cat", "a cat"))
STRANGE = "a  'b' \"c\" & <d> 100%20 #1? é 🦊"


def cut_of(media: Media, fps: Fraction = Fraction(24), mark: str = ":", start: str = "01:00:00{}00") -> Cut:
    return Cut("Morph", fps, SIZE, PARTS, media, MARKERS, Timecode.parse(start.format(mark), fps))


def frames_in(folder: Path, count: int = 16) -> NumberedStills:
    """Real frames, each of one grey of its own."""
    with FrameFolder(folder) as writer:
        for number in range(count):
            writer.write(np.full((SIZE[1], SIZE[0], 3), number, np.uint8))
    return NumberedStills(StillPattern(folder))


def movies_in(folder: Path, handles: int = 0, stamped: bool = False) -> PartMovies:
    """Empty files: no timeline looks into them."""
    folder.mkdir(exist_ok=True)
    paths = tuple(folder / f"part {number}.mov" for number in range(len(PARTS)))
    for path in paths:
        path.touch()
    return PartMovies(paths, handles, stamped)


def media_in(folder: Path, kind: type[Media]) -> Media:
    if kind is NumberedStills:
        return frames_in(folder / "frames")
    if kind is PartMovies:
        return movies_in(folder / "movies", handles=2)
    (folder / "morph.mov").touch()
    return Movie(folder / "morph.mov")


def sound_in(
    folder: Path, media: Media, channels: int = 2, frames: int = 16, fps: Fraction = Fraction(24)
) -> Sound:
    """Sound of so many frames: in the movie itself, or in a file of its own."""
    path = media.path if isinstance(media, Movie) else folder / "a sound.wav"
    path.touch()
    return Sound(path, frames / fps, channels, 44100, isinstance(media, Movie) and media.stamped)


def read(path: Path, cut: Cut) -> Any:
    """A timeline as OpenTimelineIO and its adapters read it."""
    options = {"rate": float(cut.fps)} if path.suffix == ".edl" else {}
    return otio.adapters.read_from_file(str(path), **options)


def span(found: Any) -> tuple[int, int]:
    """First frame and length of a range that is whole frames."""
    start, length = found.start_time.value, found.duration.value
    assert start == round(start)
    assert length == round(length)
    return round(start), round(length)


def events(path: Path, fps: Fraction) -> list[tuple[str, ...]]:
    """The events of an EDL by plain parsing: number, reel, and four times in frames."""
    mark = "[:;]"
    time = rf"\d\d:\d\d:\d\d{mark}\d\d"
    lines = re.findall(
        rf"^(\d{{3}})  (\w{{1,8}}) +V     C        ({time}) ({time}) ({time}) ({time})$", path.read_text(), re.M
    )
    return [(number, reel, *(Timecode.parse(text, fps).frame for text in times)) for number, reel, *times in lines]
