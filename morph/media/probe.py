"""What a film's file says of itself: its streams, tags and chapters; no pixel is decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from morph.errors import InputError
from morph.media.ffmpeg import reading
from morph.media.png import MAX_COMMENT
from morph.media.tags import read_tags

KINDS = "mov,matroska,gif,avi,apng,webp_anim,mpegts,mpeg,flv,asf,mxf,ogg,ivf"
"""Containers that are opened: no playlist among them, which under a film's name could open any other file."""

_NOTHING = ("-frames:v", "0", "-frames:a", "0", "-frames:s", "0")
PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "tiff", "webp", "jpegls", "jpeg2000"})
"""Of video tracks that may be a single picture: beside any other track they are taken for a cover."""


@dataclass(frozen=True)
class Track:
    """One stream of a file.

    Attributes:
        index: its number in the file, from 0.
        kind: video, audio, subtitle, data or attachment.
        codec: as ffmpeg calls it; "none" for data that it does not know.
        tags: what the file says of it, under keys in lower case.
    """

    index: int
    kind: str
    codec: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        language = self.tags.get("language", "und")
        return self.codec if language == "und" else f"{self.codec} ({language})"


@dataclass(frozen=True)
class Probe:
    """A file's streams and tags.

    Attributes:
        tracks: in the order of the file.
        tags: of the whole file, under keys in lower case.
        chapters: the tags of each, with ffmetadata's own three: timebase, start and end.
    """

    tracks: tuple[Track, ...]
    tags: Mapping[str, str]
    chapters: tuple[Mapping[str, str], ...] = ()

    def of_kind(self, kind: str) -> tuple[Track, ...]:
        """The tracks of one kind."""
        return tuple(track for track in self.tracks if track.kind == kind)

    @property
    def film(self) -> int | None:
        """The number of the track that is the film, where a cover stands in front of it; else None."""
        first, *others = self.of_kind("video") or (None,)
        if first is None or first.codec not in PICTURE_CODECS:
            return None
        return next((track.index for track in others if track and track.codec not in PICTURE_CODECS), None)

    @property
    def timecode(self) -> str:
        """The timecode of the first frame; empty where none is stated."""
        stated = (track.tags.get("timecode", "") for track in self.tracks)
        return next((timecode for timecode in stated if timecode), self.tags.get("timecode", ""))


def probe(path: Path) -> Probe:
    """Read what a film's file says of itself.

    Raises:
        InputError: not a regular file, not a film that ffmpeg can open, damaged, or with tags beyond MAX_COMMENT.
    """
    # a heading of "#name 0: value", then lines for the first packets
    heading: dict[tuple[str, int], str] = {}
    with _copied(path, "-copy_unknown", "-t", "0", "-f", "framecrc") as pipe:
        for line in pipe:
            if found := re.match(rb"#(\w+) (\d+): (.*)", line):
                heading[found[1].decode(), int(found[2])] = found[3].decode(errors="replace").strip()
    file, streams, chapters = read_tags(_ffmetadata(path))
    tracks = tuple(
        Track(
            index,
            heading["media_type", index],
            heading.get(("codec_id", index), "none"),
            streams[index] if index < len(streams) else {},
        )
        for index in sorted(number for name, number in heading if name == "media_type")
    )
    # ffmpeg keeps to itself when a file was made, and tells it of its streams
    created = next((track.tags["creation_time"] for track in tracks if "creation_time" in track.tags), "")
    return Probe(tracks, file | ({"creation_time": created} if created else {}), tuple(chapters))


def read_comment(path: Path) -> str | None:
    """Read the ``comment`` tag of a video.

    Raises:
        InputError: as :func:`probe`.
    """
    return read_tags(_ffmetadata(path, "-map", "0:v:0")).file.get("comment")


def _ffmetadata(path: Path, *mapping: str) -> str:
    with _copied(path, *mapping, "-copy_unknown", *_NOTHING, "-f", "ffmetadata") as pipe:
        found = pipe.read(MAX_COMMENT + 1)
        if len(found) > MAX_COMMENT:
            raise InputError(
                f"{path}: tags longer than {MAX_COMMENT >> 20} MiB are not read: name the .json beside it"
            )
    return found.decode(errors="replace")


def _copied(path: Path, *arguments: str) -> AbstractContextManager[IO[bytes]]:
    mapping = () if "-map" in arguments else ("-map", "0")
    return reading(path, KINDS, "a video", *mapping, "-c", "copy", *arguments)
