"""ffmetadata, ffmpeg's text for a film's tags and chapters: read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_PAIR = re.compile(r"((?:[^\\=;#]++|\\.)++)=(.*)", re.DOTALL)
_LINE = re.compile(r"((?:[^\\\n]++|\\.)++)\n?", re.DOTALL)
"""One line; one that a backslash ends goes on in the next."""


class Sections(NamedTuple):
    """The tags of a file, of its streams and of its chapters, under keys in lower case.

    A chapter's own three, timebase, start and end, are among its tags.
    """

    file: dict[str, str]
    streams: list[dict[str, str]]
    chapters: list[dict[str, str]]


def read_tags(text: str) -> Sections:
    """What ffmetadata says; of a key's values the first counts."""
    found = Sections({}, [], [])
    tags = found.file
    for line in _LINE.findall(text):
        if line in ("[STREAM]", "[CHAPTER]"):
            tags = {}
            (found.streams if line == "[STREAM]" else found.chapters).append(tags)
            continue
        if pair := _PAIR.fullmatch(line):
            key, value = (re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) for text in pair.groups())
            tags.setdefault(key.lower(), value)
    return found


def written_tags(file: Mapping[str, str], chapters: Sequence[Mapping[str, str]] = ()) -> str:
    """The ffmetadata of a file with these tags, and of its chapters.

    Behind an escaped backslash ffmpeg takes a newline for a part of the value: a space is put between.
    """
    lines = [";FFMETADATA1", *(f"{_key(key)}={escaped(value)}" for key, value in file.items())]
    for chapter in chapters:
        lines += ["\n[CHAPTER]", *(f"{_key(key)}={escaped(value)}" for key, value in chapter.items())]
    ends = [" \n" if line.endswith("\\") else "\n" for line in lines]
    if len(lines) > 1:
        ends[-1] = ""
    return "".join(line + end for line, end in zip(lines, ends, strict=True))


def escaped(text: str) -> str:
    """Text as a value, whose special characters are escaped by a backslash."""
    return re.sub(r"([=;#\\\r\n])", r"\\\1", text)


def _key(key: str) -> str:
    """A tag's name; those that time a chapter are in capitals."""
    return key.upper() if key in ("timebase", "start", "end") else escaped(key)
