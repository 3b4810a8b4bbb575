"""What a picture may take: a small file must not become much memory or much time.

Every picture that is accepted is read in less than ``MEMORY`` on top of what the libraries take by themselves, and
a file is looked over for what decoders would do too often before any of them sees it.
"""

from __future__ import annotations

import io
import mmap
import re
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import KeyframeError

MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3
"""Largest picture decoded, in pixels: Pillow's own limit (89.5 million), here an error and not a warning."""
MEMORY = 1024**3
"""Bytes that reading a picture takes, at most."""
MAX_BYTES = 1024**3
"""Largest file of a picture."""
MAX_SCANS = 100
"""Scans of a JPEG; a progressive one has about ten, and each is another pass over the whole picture."""
MAX_SCANNED = 2_000_000_000
"""Pixels of a JPEG times its scans."""
MAX_RLE = 16_000_000
"""Pixels of a BMP that is compressed: Pillow unpacks them in Python."""
_MAX_READS = 300_000
_MAX_MARKERS = 10_000
_MAX_TAGS = 256 * 1024**2
_MAX_VALUES = 1_000_000
_LARGE_TAG = 1024**2
_PROFILE = 34675
_BYTE_TYPES = (1, 2, 7)
_TYPE_SIZES = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], np.int64)
_DIRECTORY = re.compile(rb"II\*\0|MM\0\*")
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

# Bytes for each pixel at the highest moment, and for each byte of the file, as tests/morph/media/test_limits.py
# measures them: JPEG, PNG, GIF and BMP are decoded as they are read, the others out of memory.
_COSTS = {"TIFF": (11, 1), "WEBP": (18, 2), "AVIF": (13, 3), "HEIF": (16, 3)}
_COST = (11, 0)
# The same of more than 8 bits, with one channel, three and four: a second decoder makes all of it once more.
_DEEP_COSTS = {"AVIF": (40, 40, 52), "HEIF": (24, 24, 32)}
_DEEP_COST = (13, 17, 21)


class Metered(io.BufferedReader):
    """A picture's file; who reads from it too often or too much is stopped by a KeyframeError.

    Pillow's readers loop in Python over markers, chunks and blocks, of which a file may have millions.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._path = path
        self._reads = 0
        self._bytes = 0
        self._size = path.stat().st_size
        self._most = 3 * self._size + _LARGE_TAG

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        # for what a damaged file says it has, and has not, Python would make room before it looks
        data = super().read(size if size is None else min(size, self._size))
        self._reads += 1
        self._bytes += len(data)
        if self._reads > _MAX_READS or self._bytes > self._most:
            raise KeyframeError(f"{self._path}: is made of too many small parts: save it again as a PNG")
        return data


def check_size(path: Path, kind: str | None, size: tuple[int, int], bits: int = 8, channels: int = 3) -> None:
    """Refuse a picture of ``size`` (width, height), ``kind`` as Pillow calls it, that would take too much memory.

    Raises:
        KeyframeError: it has more than MAX_PIXELS, or reading it takes more than MEMORY.
    """
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        raise too_large(path)
    by_pixel, by_byte = _COSTS.get(kind or "", _COST)
    if bits > 8:
        by_pixel, by_byte = _DEEP_COSTS.get(kind or "", _DEEP_COST)[max(0, channels - 2)], max(1, by_byte)
    room = MEMORY - by_byte * path.stat().st_size
    if pixels * by_pixel > room:
        most = f"at most {max(room, 0) / by_pixel / 1e6:.0f} megapixels of it can be read in 1 GiB"
        raise KeyframeError(f"{path}: is {pixels / 1e6:.0f} megapixels of {bits} bits, {most}: scale it down first")


def check_parts(path: Path) -> list[int]:
    """Refuse a file that decoders would work on for too long, or make too much of before its size is known.

    Returns the tags of a TIFF that take much room and that nothing here needs.

    Raises:
        KeyframeError: it is larger than MAX_BYTES, a JPEG of too many scans or markers, a WebP of too many pixels,
            or it has tags that claim more than there is room for.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise KeyframeError(f"{path}: is larger than {MAX_BYTES >> 20} MiB: save it again, smaller")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data[:32]
        if start[:2] == b"\xff\xd8":
            _check_jpeg(path, data)
        elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            check_size(path, "WEBP", _webp_size(start))
        elif start[4:8] == b"ftyp" or start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            # of an AVIF Pillow reads the EXIF data as it opens it, wherever these are
            places = [0] if start[4:8] != b"ftyp" else [found.start() for found in _DIRECTORY.finditer(data)]
            return [tag for place in places[:_MAX_MARKERS] for tag in check_tags(path, data, place)]
    return []


def check_exif(path: Path, image: Image.Image) -> None:
    """Refuse EXIF data of an opened picture that Pillow should not read; see :func:`check_tags`."""
    text = image.info.get("Raw profile type exif")  # of PNGs by some programs: in hexadecimal
    raw = bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else b""
    for data in (image.info.get("exif"), raw):
        if isinstance(data, bytes) and data:
            check_tags(path, data, 6 if data.startswith(b"Exif\0\0") else 0)


def too_large(path: Path) -> KeyframeError:
    """What is told of a picture of more than ``MAX_PIXELS``."""
    return KeyframeError(f"{path}: more than {MAX_PIXELS / 1e6:.0f} megapixels: scale it down first")


def check_tags(path: Path, data: bytes | mmap.mmap, start: int = 0) -> list[int]:
    """Refuse a TIFF's or EXIF's directory whose values overlap so that they take far more room than the file.

    ``start`` is where it begins in ``data``. Returns the tags that take much room and that nothing here needs.

    Raises:
        KeyframeError: its values take more than 256 MiB, or one has more than a million numbers.
    """
    entries = _entries(data, start)
    sizes = _TYPE_SIZES[np.where(entries["type"] < len(_TYPE_SIZES), entries["type"], 0)]
    counts = np.minimum(entries["count"], len(data)).astype(np.int64)
    taken = np.minimum(counts * sizes, len(data))
    numbers = ~np.isin(entries["type"], _BYTE_TYPES) & (sizes > 0)
    # a value that is not there is never read
    there = entries["value"].astype(np.uint64) < len(data)
    if (numbers & there & (counts > _MAX_VALUES)).any() or taken[there].sum() > _MAX_TAGS:
        raise KeyframeError(f"{path}: its tags take more room than any picture's: save it again as a PNG")
    return [int(tag) for tag in entries["tag"][(taken > _LARGE_TAG) & (entries["tag"] != _PROFILE)]]


def _entries(data: bytes | mmap.mmap, start: int) -> NDArray[np.void]:
    """The entries of the first directory: tag, type, count and value, or the place of the values."""
    order = "<" if data[start : start + 2] == b"II" else ">"
    big = 43 in data[start + 2 : start + 4]
    word, entry, at = (8, 20, 8) if big else (4, 12, 4)
    kind = np.dtype([("tag", f"{order}u2"), ("type", f"{order}u2"), *((n, f"{order}u{word}") for n in _WORDS)])
    name: Literal["little", "big"] = "little" if order == "<" else "big"
    place = start + int.from_bytes(data[start + at : start + at + word], name)
    wide = 8 if big else 2
    if place >= len(data):
        return np.empty(0, kind)
    count = min(int.from_bytes(data[place : place + wide], name), (len(data) - place - wide) // entry)
    return np.frombuffer(data[place + wide : place + wide + max(count, 0) * entry], kind)


_WORDS = ("count", "value")


def _check_jpeg(path: Path, data: mmap.mmap) -> None:
    """Count a JPEG's markers and scans, and look at the EXIF data that its markers have together."""
    at, markers, scans, pixels = 2, 0, 0, 0
    exif = b""
    while found := _MARKER.search(data, at):
        kind = data[found.start() + 1]
        length = int.from_bytes(data[found.end() : found.end() + 2])
        markers += 1
        scans += kind == 0xDA
        if kind in range(0xC0, 0xD0) and kind not in (0xC4, 0xC8, 0xCC):
            pixels = int.from_bytes(data[found.end() + 3 : found.end() + 5]) * int.from_bytes(
                data[found.end() + 5 : found.end() + 7]
            )
        if kind == 0xE1 and data[found.end() + 2 : found.end() + 8] == b"Exif\0\0" and not scans:
            exif += data[found.end() + 8 : found.end() + length]
        if scans > MAX_SCANS or scans * pixels > MAX_SCANNED or markers > _MAX_MARKERS:
            what = "scans" if markers <= _MAX_MARKERS else "parts"
            raise KeyframeError(f"{path}: a JPEG of too many {what}: save it again as a PNG")
        if kind == 0xD9:
            break
        at = found.end() + (length if kind != 0xD8 and kind != 0x01 else 0)
    check_tags(path, exif)


def _webp_size(start: bytes) -> tuple[int, int]:
    """Width and height that a WebP's first 32 bytes state; Pillow makes room for it as it opens it."""
    kind = start[12:16]
    if kind == b"VP8X":
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF
