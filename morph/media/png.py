"""PNG as bytes: 8 or 16 bits, with or without alpha, with its colour stated and a comment.

OpenCV compresses, as Pillow cannot hold 16-bit colour; the chunks it knows nothing of are put in here.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import IO

import numpy as np
from PIL import Image

from morph.media.frame import FrameArray, checked_frame, coloured
from morph.media.limits import MAX_PIXELS
from morph.media.quiet import DECODER_ERRORS, quiet, words_of
from morph.media.strips import rows_of, strips

LEVEL = 1
"""zlib level: five times faster than the usual 6 and only a little larger."""

MAX_COMMENT = 16 * 1024 * 1024
"""Longest comment read, in bytes."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER = len(_SIGNATURE) + 25
_KEYWORD = b"Comment"
_COSTS = (9, 17)
"""Bytes that a pixel of up to 8 bits takes while it is decoded, and one of 16."""
_MAX_CHUNKS = 1_000_000  # a file can be made of empty ones

# What says sRGB: the chunk of that name (0: perceptual), and the newer code points that some editors prefer
# (BT.709 primaries, the sRGB curve, RGB, full range).
_COLOUR = ((b"sRGB", bytes([0])), (b"cICP", bytes([1, 13, 0, 1])))


def encode_png(frame: FrameArray, comment: str | None = None) -> bytes:
    """Return ``frame`` as a PNG of its own depth and channels; ``comment`` goes into an iTXt chunk.

    Raises ValueError for what is no frame.
    """
    import cv2  # here, not above: --help and a dry run read names without waiting for it

    frame = checked_frame(frame)
    swapped = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR if frame.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    _, encoded = cv2.imencode(".png", swapped, _how())
    chunks = [_chunk(kind, data) for kind, data in _COLOUR]
    if comment is not None:
        # keyword, "not compressed", and no language
        chunks.append(_chunk(b"iTXt", _KEYWORD + bytes(5) + comment.encode()))
    data = encoded.data
    return b"".join([data[:_AFTER_HEADER], *chunks, data[_AFTER_HEADER:]])


def decode_png(data: bytes, memory: int | None = None) -> FrameArray:
    """Return the pixels of a PNG, in its own depth; grey and palettes become colour, fewer bits become 8.

    Every chunk's checksum is verified, so a cut or altered file is found wherever it was hit. ``memory`` is how
    many bytes it may take, the data among them; None is for our own files.

    Raises:
        ValueError: saying why it cannot be read, or that it is larger than MAX_PIXELS or takes more than that.
    """
    depth = _checked(data, memory)
    if depth == 16:
        import cv2

        with quiet():
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if found is None or found.dtype != np.uint16:
            raise ValueError("its pixels are damaged")
        if found.ndim == 2:
            return coloured(found.view(np.uint16))
        order = [2, 1, 0, 3][: found.shape[2]]
        for rows in strips(*found.shape[:2]):
            found[rows] = found[rows][..., order]
        return found.view(np.uint16)
    try:
        # what Pillow warns of is no news of a frame: its first picture is the one
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data), formats=("PNG",)) as image:
            mode = "RGBA" if image.has_transparency_data else "RGB"
            pixels = np.empty((image.height, image.width, len(mode)), np.uint8)
            for rows in strips(image.height, image.width):
                pixels[rows] = np.asarray(rows_of(image, rows).convert(mode))
            return pixels
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise ValueError(words_of(error) or "it is damaged") from error


def png_comment(file: IO[bytes]) -> str | None:
    """Return the text called Comment in a PNG; its pixels are passed over.

    Raises:
        ValueError: it is not a PNG, damaged where the text is, or the text is longer than MAX_COMMENT.
    """
    for kind, start, length in islice(chunks(file), _MAX_CHUNKS):
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        file.seek(start)
        if file.read(len(_KEYWORD) + 1) != _KEYWORD + b"\0":
            continue
        if length > MAX_COMMENT:
            raise ValueError("its comment is too long")
        return _text(kind, file.read(length - len(_KEYWORD) - 1))
    return None


def _how() -> list[int]:
    import cv2

    # runs alone are looked for: 16-bit frames take a third of the time, and no frame grows by more than a few %
    strategy = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
    return [cv2.IMWRITE_PNG_COMPRESSION, LEVEL, *strategy, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]


def _text(kind: bytes, data: bytes) -> str:
    """The text of a chunk, from behind its keyword on."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed = data[:1] == b"\1"
        data = data[2:].split(b"\0", 2)[-1]  # behind the language and the keyword in that language
    elif packed:
        data = data[1:]
    if packed:
        try:
            unpacked = zlib.decompressobj()
            data = unpacked.decompress(data, MAX_COMMENT)
        except zlib.error as error:
            raise ValueError(f"its comment is damaged: {error}") from error
        if unpacked.unconsumed_tail:
            raise ValueError("its comment is too long")
    return data.decode("utf-8" if kind == b"iTXt" else "latin-1")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's kind, where its data begin, and their length, up to the last, IEND.

    Raises ValueError where the file is not a PNG, or ends before that.
    """
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        raise ValueError("it is not a PNG")
    start = len(_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("it ends too early")
        length, kind = struct.unpack(">I4s", head)
        yield kind, start + 8, length
        start += length + 12


def _named(kind: bytes) -> str:
    """A chunk by its kind, if that is letters as it should be."""
    return f"{kind.decode()} chunk" if kind.isalpha() else "data"


def _checked(data: bytes, memory: int | None) -> int:
    """Return the bits of a sample, once every checksum is verified and the size allowed."""
    view = memoryview(data)
    depth = 0
    for kind, start, length in chunks(BytesIO(data)):
        end = start + length
        if zlib.crc32(view[start - 4 : end]).to_bytes(4, "big") != view[end : end + 4]:
            raise ValueError(f"its {_named(kind)} is damaged or cut off")
        if not depth:
            if kind != b"IHDR" or length != 13:
                raise ValueError("it has no header")
            width, height, depth = struct.unpack_from(">IIB", data, start)
            if width * height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS / 1e6:.0f} megapixels")
            if memory and width * height * _COSTS[depth == 16] + len(data) > memory:
                raise ValueError(f"reading it would take more than {memory >> 20} MiB")
    return depth
