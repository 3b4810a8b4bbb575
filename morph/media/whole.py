"""Whether all of a picture's file is there; decoders fill what is missing with black or grey, or say "damaged"."""

from __future__ import annotations

import io
import mmap
import re
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import STRIPBYTECOUNTS, STRIPOFFSETS, TILEBYTECOUNTS, TILEOFFSETS, TiffImageFile

from morph.media.png import chunks
from morph.media.strips import rows_of, strips

CUT_SHORT = "is cut short: it was not copied or downloaded to its end, get it again"
_SAID = re.compile("truncated|not enough image data|cut short|broken data stream|unexpected end|end of file", re.I)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's kinds of colour
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_GREY = 128
_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FILLED = bytes(range(1, 251)) * 4


def is_cut_short(path: Path, error: Exception) -> bool:
    """Whether a file on which a decoder failed ends before it says it does."""
    if _SAID.search(str(error)):
        return True
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(12)
            if start[:4] == b"RIFF":
                return int.from_bytes(start[4:8], "little") + 8 > size
            if start[4:8] == b"ftyp":
                return _boxes_end(file) > size
        if start[:2] in (b"II", b"MM"):
            return _tiff_end(path) > size
    except (OSError, ValueError, SyntaxError, LookupError, TypeError):
        return False
    return False


def ran_out(path: Path, image: ImageFile.ImageFile) -> bool:
    """Whether the data of a picture that a decoder took without complaint end before its last row.

    ``image`` is loaded. Only a PNG's and a JPEG's may: their files can be whole around data that are not.
    """
    if image.format == "PNG":
        last = np.asarray(image.crop((0, max(0, image.height - 2), image.width, image.height)))
        return any(not row.any() for row in last) and _lacks_rows(path)  # of an interlaced one either may be there
    if image.format in ("JPEG", "MPO"):
        corner = np.asarray(image.crop((image.width - 1, image.height - 1, image.width, image.height)))
        return bool((np.abs(corner.astype(int) - _GREY) < 2).all()) and _takes_more(path, image)
    return False


def _lacks_rows(path: Path) -> bool:
    """Whether fewer bytes are packed in a PNG than its rows have; what is left over is black then."""
    unpack, found, needed, size = zlib.decompressobj(), 0, 0, path.stat().st_size
    with path.open("rb") as file:
        for kind, start, length in chunks(file):
            file.seek(start)
            if kind == b"IHDR":
                needed = _bytes_of(file.read(length))
            elif kind == b"IDAT":
                data = file.read(min(length, size))  # it may say that it is longer than the file
                while data and found < needed:
                    found += len(unpack.decompress(data, 1 << 20))
                    data = unpack.unconsumed_tail
            elif found:
                break
    return found < needed


def _bytes_of(header: bytes) -> int:
    """The bytes that a PNG's rows have unpacked, each with its filter, by the data of its IHDR."""
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    bits = header[8] * _CHANNELS.get(header[9], 1)
    passes = _PASSES if header[12] else ((0, 0, 1, 1),)
    sizes = [(-((left - width) // across), -((top - height) // down)) for left, top, across, down in passes]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)


def _takes_more(path: Path, image: ImageFile.ImageFile) -> bool:
    """Whether a JPEG looks different with more data before its end: then those it has are too few.

    The decoder passes over what comes after the last block, and makes mid-grey of blocks without data.
    """
    data = path.read_bytes()
    at, scanning = 2, False
    while found := _END.search(data, at):
        kind = data[found.end() - 1]
        if kind == 0xD9:
            break
        scanning |= kind == 0xDA
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    if not found or not scanning:
        return False
    longer = io.BytesIO(data[: found.start()] + _FILLED + data[found.start() :])
    del data
    with Image.open(longer, formats=("JPEG",)) as other:
        other.load()
        if other.size != image.size or other.mode != image.mode:
            return False
        pairs = ((rows_of(image, rows), rows_of(other, rows)) for rows in strips(image.height, image.width))
        return any(one.tobytes() != two.tobytes() for one, two in pairs)


def _boxes_end(file: io.BufferedReader) -> int:
    """Where the boxes of an AVIF or HEIC end, by their own sizes."""
    at = 0
    while len(file_head := _at(file, at)) == 16:
        size = int.from_bytes(file_head[:4])
        size = int.from_bytes(file_head[8:]) if size == 1 else size
        if size < 8:  # to the end of the file
            return 0
        at += size
    return at


def _at(file: io.BufferedReader, place: int) -> bytes:
    file.seek(place)
    return file.read(16)


def _tiff_end(path: Path) -> int:
    """Where a TIFF's directory and its strips or tiles end, as they state."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        first = int.from_bytes(data[4:8], order) if 42 in data[2:4] else int.from_bytes(data[8:16], order)
        if first + 2 > len(data):
            return first + 2
    with Image.open(path, formats=("TIFF",)) as image:
        if not isinstance(image, TiffImageFile):
            return 0
        ends = [0]
        for offsets, counts in ((STRIPOFFSETS, STRIPBYTECOUNTS), (TILEOFFSETS, TILEBYTECOUNTS)):
            ends += map(sum, zip(image.tag_v2.get(offsets, ()), image.tag_v2.get(counts, ()), strict=False))
        return max(ends)
