"""A finished clip as a page can play it: its output where browsers play that kind, else a preview."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from numpy.typing import NDArray

from morph.media.frame import to_rgb8
from morph.media.stills import atomic_path
from morph.media.target import Stream
from morph.media.video import VideoWriter
from pipelines.output.targets import target_for
from pipelines.report.markup import Markup, data_uri, element, joined

EMBEDDED_TO = 20_000_000
"""Bytes up to which a page holds its film; a larger one stays a file of its own."""
HEAD = 1 << 20
"""Bytes at the start of an MP4 that say how it is encoded."""
EIGHT_BIT_420 = (b"\x42", b"\x4d", b"\x64")
"""The profiles of H.264 that every browser plays: Baseline, Main and High."""


@dataclass(frozen=True)
class Film:
    """What a page plays: an address, its media type, and whether it is in a file beside the page.

    preview: it was encoded for the page, since the output is of a kind that browsers do not play, or is gone.
    """

    address: str
    kind: str
    linked: bool
    preview: bool

    def markup(self, size: tuple[int, int], label: str) -> Markup:
        """The element that plays it, and a line about what it is where that is not the output itself."""
        width, height = size
        if self.kind.startswith("image/"):
            shown = element("img", src=self.address, alt=label, width=width, height=height)
        else:
            source = element("source", src=self.address, type=self.kind)
            playing = dict.fromkeys(("controls", "loop", "muted", "autoplay", "playsinline"), True)
            shown = element("video", source, aria_label=label, width=width, height=height, **playing)
        notes: list[str] = []
        if self.preview:
            notes.append("This is a preview in H.264: browsers do not play the output, or it is not there. ")
        if self.linked:
            link = element("a", "a file of its own", href=self.address)
            notes += ["It is large, so it is not in this page but in ", link, "."]
        return joined(shown, element("p", *notes, class_="soft") if notes else None)


def film_of(output: Path, frames: Iterable[NDArray[Any]], stream: Stream, page: Path) -> Film:
    """How ``page`` plays a clip; ``frames`` (H,W,3) are read only if a preview must be encoded.

    A preview that is too large for the page is written beside it.

    Raises:
        EncodeError: a preview cannot be encoded, or a frame of it is gone.
    """
    if kind := media_type(output):
        if output.stat().st_size > EMBEDDED_TO:
            relative_path = os.path.relpath(output, page.absolute().parent)
            return Film(quote(os.fsencode(relative_path)), kind, linked=True, preview=False)
        return Film(data_uri(output.read_bytes(), kind), kind, linked=False, preview=False)
    with TemporaryDirectory(prefix="morph-") as folder:
        preview = Path(folder) / "preview.mp4"
        with VideoWriter(preview, target_for(preview), stream) as writer:
            for frame in frames:
                writer.write(to_rgb8(frame))
        if preview.stat().st_size <= EMBEDDED_TO:
            return Film(data_uri(preview.read_bytes(), "video/mp4"), "video/mp4", linked=False, preview=True)
        linked_file = page.with_name(f"{page.stem}.preview.mp4")
        with atomic_path(linked_file) as partial:
            shutil.copyfile(preview, partial)
        return Film(quote(os.fsencode(linked_file.name)), "video/mp4", linked=True, preview=True)


def media_type(file: Path) -> str | None:
    """The media type of a file that every browser plays; None for any other, and where there is no file."""
    if not file.is_file():
        return None
    suffix = file.suffix.lower()
    if suffix == ".mp4":
        with file.open("rb") as stream:
            head = stream.read(HEAD)
        at = head.find(b"avcC")  # H.264's configuration: a version, then the profile
        return "video/mp4" if at >= 0 and head[at + 5 : at + 6] in EIGHT_BIT_420 else None
    return {".webm": "video/webm", ".gif": "image/gif", ".apng": "image/apng", ".webp": "image/webp"}.get(suffix)
