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
from morph.media.probe import KINDS, Track
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
        container = CONTAINERS.get(output.suffix.lower(), Container(comment=False))
        streams: list[tuple[int, tuple[str, ...]]] = []
        along: list[str] = []
        behind = [f"another video {track}" for track in film.probe.of_kind("video")[1:]]
        for number, track in enumerate(film.probe.of_kind("audio")):
            if not container.audio:
                behind.append(f"sound {track}")
                continue
            copied = container.copies(track.codec)
            along.append(f"sound {track} {'as it is' if copied else 'encoded again'}")
            arguments = ("-c:a", "copy") if copied else container.audio
            numbered = [f"{word}:{number}" if word in ("-c:a", "-b:a") else word for word in arguments]
            layouts = () if copied or not container.layouts else _layouts(number, container)
            streams.append((track.index, (*numbered, *layouts)))
        subtitles = 0
        for track in film.probe.of_kind("subtitle"):
            codec = _subtitle_codec(track, container)
            if not codec:
                behind.append(f"subtitles {track}")
                continue
            along.append(f"subtitles {track}")
            streams.append((track.index, (f"-c:s:{subtitles}", codec)))
            subtitles += 1
        for track in film.probe.of_kind("attachment"):
            if container.attachments:
                streams.append((track.index, ("-c:t", "copy")))
            else:
                behind.append(f"attachment {track.tags.get('filename', track.codec)}")
        timecode, lost = _timecode(film, container, fps)
        behind += [lost] if lost else []
        behind += [f"data {track}" for track in film.probe.of_kind("data") if not _restated(track, film)]
        tags = {key: value for key, value in film.probe.tags.items() if key not in _OWN}
        if not container.comment:
            behind += [f"tags {', '.join(tags)}"] if tags else []
            behind += [f"{len(film.probe.chapters)} chapters"] if film.probe.chapters else []
        if film.look.aspect != 1 and output.suffix.lower() not in _WITH_ASPECT:
            behind.append(f"its pixels' shape, {film.look.aspect.numerator}:{film.look.aspect.denominator}")
        notices = [f"{film.path}: {', '.join(along)}"] if along else []
        if behind:
            notices.append(f"{film.path}: not taken into {output}: {', '.join(behind)}")
        chapters = film.probe.chapters
        return cls(film.path, film.delay, tuple(streams), tags, chapters, timecode, tuple(notices))

    @property
    def reading(self) -> tuple[str, ...]:
        """Ffmpeg's arguments that open the film."""
        return ("-format_whitelist", KINDS, "-i", f"file:{self.path}")

    def coding(self, number: int) -> tuple[str, ...]:
        """Ffmpeg's arguments that put it into a file, where the film is input ``number``."""
        words = [("-map", f"{number}:{index}", *arguments) for index, arguments in self.streams]
        return tuple(chain.from_iterable(words))

    def check(self, suffix: str) -> None:
        """Refuse, before any work is done, what ffmpeg cannot put into such a file: its first instant is tried.

        Raises:
            SettingsError: it cannot.
        """
        if not self.streams:
            return
        with TemporaryDirectory(prefix="morph-") as folder:
            trial = ("-t", "0.1", *CONTAINERS[suffix].arguments, f"file:{folder}/a{suffix}")
            ffmpeg = Ffmpeg(*self.reading, *self.coding(0), *trial, stdin=True)
            try:
                if ffmpeg.wait() != 0:
                    raise SettingsError(
                        f"{self.path}: its sound or subtitles do not go into a {suffix}: write a .mkv, or a "
                        f"folder of PNGs ({ffmpeg.last_lines()})"
                    )
            finally:
                ffmpeg.kill()


_WITH_ASPECT = frozenset({".mp4", ".mov", ".mkv", ".webm"})


def _restated(track: Track, film: Film) -> bool:
    """Whether data only says again what is a timecode, or the chapters' titles."""
    return "timecode" in track.tags or (track.codec == "bin_data" and bool(film.probe.chapters))


def _layouts(number: int, container: Container) -> tuple[str, str]:
    return f"-filter:a:{number}", f"aformat=channel_layouts={container.layouts}"


def _subtitle_codec(track: Track, container: Container) -> str:
    """What makes a track fit: "copy", a codec, or nothing."""
    if container.subtitles == "copy":
        return "srt" if track.codec == "mov_text" else "copy"
    return container.subtitles if track.codec in _TEXT else ""


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
