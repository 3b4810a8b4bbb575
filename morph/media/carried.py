"""What a film has besides its pictures, carried into a file with other pictures of the same film."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from morph.errors import SettingsError
from morph.media.ffmpeg import Ffmpeg
from morph.media.film import Film
from morph.media.probe import KINDS, PICTURE_CODECS, Track
from morph.media.recipe import parse_recipe
from morph.media.target import CONTAINERS, Container
from morph.media.timecode import Timecode

_TEXT = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})
"""Subtitles that are text, and can become another codec's."""
_OWN = frozenset(
    {"comment", "encoder", "major_brand", "minor_version", "compatible_brands", "duration", "timecode"}
)
"""Tags that a file has of itself, and none of its source."""


@dataclass(frozen=True)
class Carried:
    """What goes from a film into a file of one kind, beside new pictures; everything keeps its time.

    Attributes:
        path: the film.
        delay: seconds by which the pictures begin after the file.
        streams: numbers of its sound, subtitles and fonts, each with ffmpeg's arguments that code it.
        tags, chapters: as :class:`morph.media.probe.Probe` has them.
        timecode: of the first frame at the new rate; empty where there is none.
        notices: what is taken along, coded again or left behind.
    """

    path: Path
    delay: Fraction
    streams: tuple[tuple[int, tuple[str, ...]], ...]
    tags: Mapping[str, str]
    chapters: tuple[Mapping[str, str], ...]
    timecode: str
    notices: tuple[str, ...]

    @classmethod
    def of(cls, film: Film, output: Path, fps: Fraction) -> Carried:
        """What of a film goes into ``output``, whose pictures come at ``fps``; stills take nothing along."""
        suffix, probe = output.suffix.lower(), film.probe
        container = CONTAINERS.get(suffix, Container(comment=False, aspect=False))
        streams: list[tuple[int, tuple[str, ...]]] = []
        along: list[str] = []
        first, *others = probe.of_kind("video")
        behind = [
            f"{'picture' if track.codec in PICTURE_CODECS else 'another video'} {track}"
            for track in (others if probe.film is None else (first, *others))
            if track.index != probe.film
        ]
        for kind, letter in _LETTERS.items():
            taken = 0
            for track in probe.of_kind(kind):
                options = _options(track, container)
                name = track.tags.get("filename", "") or str(track)
                if not options or not _goes_in(film.path, track, options, suffix):
                    behind.append(f"{_WORDS[kind]} {name}")
                    continue
                streams.append((track.index, _numbered(options, letter, taken)))
                taken += 1
                how = "as it is" if options == _COPIED else "encoded again"
                along.append(f"{_WORDS[kind]} {name}" + (f" {how}" if kind == "audio" else ""))
        timecode, lost = _timecode(film, container, fps)
        behind += [lost] if lost else []
        behind += [f"data {track}" for track in probe.of_kind("data") if not _restated(track, film)]
        tags = {key: value for key, value in probe.tags.items() if key not in _OWN}
        kept = {key: value for key, value in tags.items() if container.keeps(key)}
        behind += [f"tag {key}" for key in tags if key not in kept]
        comment = probe.tags.get("comment", "")  # the recipe's place
        behind += ["its comment"] if comment and parse_recipe(comment) is None else []
        behind += [f"{len(probe.chapters)} chapters"] if probe.chapters and not container.comment else []
        if film.look.aspect != 1 and not container.aspect:
            behind.append(f"its pixels' shape, {film.look.aspect.numerator}:{film.look.aspect.denominator}")
        notices = [f"{film.path}: {', '.join(along)}"] if along else []
        if behind:
            notices.append(f"{film.path}: not taken into {output}: {', '.join(behind)}")
        return cls(film.path, film.delay, tuple(streams), kept, probe.chapters, timecode, tuple(notices))

    @property
    def reading(self) -> tuple[str, ...]:
        """Ffmpeg's arguments that open the film."""
        return _opening(self.path)

    def coding(self, number: int) -> tuple[str, ...]:
        """Ffmpeg's arguments that put it into a file, where the film is input ``number``."""
        words = [("-map", f"{number}:{index}", *arguments) for index, arguments in self.streams]
        return tuple(chain.from_iterable(words))


_COPIED = ("-c", "copy")
_LETTERS = {"audio": "a", "subtitle": "s", "attachment": "t"}
_WORDS = {"audio": "sound", "subtitle": "subtitles", "attachment": "attachment"}


def _opening(path: Path) -> tuple[str, ...]:
    return ("-format_whitelist", KINDS, "-i", f"file:{path}")


def _restated(track: Track, film: Film) -> bool:
    """Whether data only says again what is a timecode, or the chapters' titles."""
    return "timecode" in track.tags or (track.codec == "bin_data" and bool(film.probe.chapters))


def _options(track: Track, container: Container) -> tuple[str, ...]:
    """Ffmpeg's options that code a track for a container; none where it has no place for such tracks."""
    if track.kind == "audio":
        if not container.audio or container.copies(track.codec):
            return _COPIED if container.audio else ()
        layouts = ("-filter", f"aformat=channel_layouts={container.layouts}") if container.layouts else ()
        return (*(word.removesuffix(":a") for word in container.audio), *layouts)
    if track.kind == "attachment":
        return _COPIED if container.attachments else ()
    if container.subtitles == "copy":
        return ("-c", "srt") if track.codec == "mov_text" else _COPIED
    return ("-c", container.subtitles) if container.subtitles and track.codec in _TEXT else ()


def _numbered(options: tuple[str, ...], letter: str, number: int) -> tuple[str, ...]:
    """Options for one stream of a file: the ``number``-th of its kind."""
    return tuple(f"{word}:{letter}:{number}" if word.startswith("-") else word for word in options)


def _goes_in(path: Path, track: Track, options: tuple[str, ...], suffix: str) -> bool:
    """Whether ffmpeg can put a film's track into such a file: its first instant is tried."""
    with TemporaryDirectory(prefix="morph-") as folder:
        # beside pictures, since a file of fonts alone is none
        inputs = (*_opening(path), "-f", "lavfi", "-i", "color=s=320x240:d=0.1")
        coding = ("-map", "1", "-map", f"0:{track.index}", *_numbered(options, _LETTERS[track.kind], 0))
        trial = (*CONTAINERS[suffix].arguments, "-t", "0.1", f"file:{folder}/a{suffix}")
        ffmpeg = Ffmpeg(*inputs, *coding, *trial, stdin=True)
        try:
            return ffmpeg.wait() == 0
        finally:
            ffmpeg.kill()


def _timecode(film: Film, container: Container, fps: Fraction) -> tuple[str, str]:
    """The timecode of a film's first frame at another rate, and what is lost of it."""
    stated = film.probe.timecode
    if not stated:
        return "", ""
    if not container.timecode:
        return "", f"timecode {stated}"
    try:
        first = Timecode.parse(stated, film.rate)
        return str(first.at(fps)), ""
    except SettingsError as error:
        return "", f"timecode {stated} ({error})"
