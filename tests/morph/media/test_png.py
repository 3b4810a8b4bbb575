import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO
import pytest
from PIL import Image

from morph.errors import InputError
from morph.media.limits import MAX_PIXELS
from morph.media.png import MAX_COMMENT, decode_png, encode_png, png_comment
from morph.media.stills import read_comment, read_png, write_png

RGBA = np.random.default_rng(5).integers(0, 65536, (21, 30, 4), dtype=np.uint16)
RGBA[0, :4] = [[0, 0, 0, 0], [65535, 0, 1, 0], [1, 2, 3, 65535], [255, 256, 257, 32768]]
KINDS = [RGBA, RGBA[..., :3], (RGBA >> 8).astype(np.uint8), RGBA[:, ::2, :3].astype(np.uint8)]
COMMENT = '{"prompt": "é 🦊", "seed": 7}\n'
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def handmade(depth: int, kind: int, rows: np.ndarray, *others: bytes) -> bytes:
    """A PNG of unfiltered rows."""
    lines = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", header), *others, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return SIGNATURE + b"".join(chunks)


def kinds_of_chunks(data: bytes) -> list[bytes]:
    found, start = [], 8
    while start < len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        assert data[start + 8 + length :][:4] == struct.pack(">I", zlib.crc32(data[start + 4 :][: length + 4]))
        found.append(kind)
        start += length + 12
    return found


def with_openimageio(path: Path, dtype: np.dtype) -> np.ndarray:
    hints = OpenImageIO.ImageSpec()
    hints.attribute("oiio:UnassociatedAlpha", 1)
    return OpenImageIO.ImageInput.open(str(path), hints).read_image(dtype.name)


@pytest.mark.parametrize("frame", KINDS)
def test_frames_come_back_bit_for_bit(tmp_path: Path, frame: np.ndarray) -> None:
    path = tmp_path / "a.png"
    write_png(path, frame, COMMENT)
    for back in (read_png(path), read_png(path.read_bytes()), with_openimageio(path, frame.dtype)):
        assert back.dtype == frame.dtype
        np.testing.assert_array_equal(back, frame)
    if frame.dtype == np.uint8:
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), frame)
    assert read_comment(path) == COMMENT


@pytest.mark.parametrize("frame", KINDS)
def test_colour_and_comment_are_stated(frame: np.ndarray) -> None:
    data = encode_png(frame, COMMENT)
    kinds = kinds_of_chunks(data)
    assert kinds[:4] == [b"IHDR", b"sRGB", b"cICP", b"iTXt"]
    assert chunk(b"cICP", bytes([1, 13, 0, 1])) in data  # BT.709 primaries, sRGB curve, RGB, full range
    with Image.open(BytesIO(data)) as image:
        assert image.info["srgb"] == 0
        assert image.text == {"Comment": COMMENT}
    assert kinds_of_chunks(encode_png(frame))[:4] == [b"IHDR", b"sRGB", b"cICP", b"IDAT"]
    assert png_comment(BytesIO(encode_png(frame))) is None


def test_pngs_of_others_become_frames() -> None:
    grey, eight = RGBA[..., 0], (RGBA >> 8).astype(np.uint8)
    for depth, kind, rows, expected in [
        (16, 0, grey, np.dstack([grey] * 3)),
        (16, 4, RGBA[..., :2], np.dstack([grey] * 3 + [RGBA[..., 1]])),
        (8, 0, eight[..., 0], np.dstack([eight[..., 0]] * 3)),
        (8, 4, eight[..., :2], np.dstack([eight[..., 0]] * 3 + [eight[..., 1]])),
    ]:
        np.testing.assert_array_equal(decode_png(handmade(depth, kind, rows)), expected)
    palette = chunk(b"PLTE", bytes(range(24))), chunk(b"tRNS", bytes([9]))
    frame = decode_png(handmade(8, 3, np.array([[0, 7]]), *palette))
    assert frame.tolist() == [[[0, 1, 2, 9], [21, 22, 23, 255]]]


@pytest.mark.parametrize("frame", KINDS)
def test_every_cut_and_every_flipped_byte_is_found(frame: np.ndarray) -> None:
    data = encode_png(frame[:4, :5], "recipe")
    for size in range(len(data)):
        with pytest.raises(ValueError, match="it"):
            decode_png(data[:size])
        flipped = bytearray(data)
        flipped[size] ^= 64
        with pytest.raises(ValueError, match="it"):
            decode_png(bytes(flipped))


@pytest.mark.parametrize("frame", KINDS)
def test_pixels_that_are_short_are_found(frame: np.ndarray) -> None:
    """Every checksum is right, but the stream of pixels ends in the middle."""
    done = handmade(8 * frame.itemsize, 2 if frame.shape[2] == 3 else 6, frame)
    np.testing.assert_array_equal(decode_png(done), frame)
    length = struct.unpack_from(">I", done, 33)[0]
    short = done[41 : 41 + length // 2]
    with pytest.raises(ValueError, match=r"\w"):
        decode_png(done[:33] + chunk(b"IDAT", short) + chunk(b"IEND", b""))


def test_what_is_no_png_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    huge = chunk(b"IHDR", struct.pack(">IIBBBBB", MAX_PIXELS, 2, 16, 2, 0, 0, 0)) + chunk(b"IEND", b"")
    for data, reason in [
        (b"", "not a PNG"),
        (b"GIF89a", "not a PNG"),
        (SIGNATURE, "ends too early"),
        (SIGNATURE + chunk(b"IEND", b""), "no header"),
        (SIGNATURE + huge, "megapixels"),
    ]:
        path.write_bytes(data)
        for source in (path, data):
            with pytest.raises(InputError, match=rf"cannot be read \(.*{reason}.*\): .*\Z"):
                read_png(source)
    for name in ("nothing.png", ".", "a.png/b.png", "n" * 300):
        with pytest.raises(InputError, match=r"cannot be opened|no regular file"):
            read_png(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"tEXt", b"Comment\0recip\xe9"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"recip\xe9")),
        chunk(b"iTXt", b"Comment\0\0\0de\0Kommentar\0" + "recipé".encode()),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress("recipé".encode())),
        chunk(b"tEXt", b"Title\0no") + chunk(b"tEXt", b"Comment\0recip\xe9") + chunk(b"tEXt", b"Comment\0later"),
    ],
)
def test_comments_of_others_are_read_without_pixels(text: bytes) -> None:
    assert png_comment(BytesIO(SIGNATURE + text + chunk(b"IEND", b""))) == "recipé"
    behind = chunk(b"IDAT", b"no pixels") + text + chunk(b"IEND", b"")
    assert png_comment(BytesIO(SIGNATURE + behind)) == "recipé"


def test_hostile_comments_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    bomb = zlib.compress(bytes(2 * MAX_COMMENT))
    for data in [
        chunk(b"zTXt", b"Comment\0\0" + bomb),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        struct.pack(">I", 2**32 - 1) + b"tEXtComment\0x",
        chunk(b"zTXt", b"Comment\0\0nonsense"),
        chunk(b"iTXt", b"Comment\0\0\0\0\0\xff"),
        b"",
    ]:
        path.write_bytes(SIGNATURE + data)
        with pytest.raises(InputError, match=r"a\.png: cannot be read \(.*\): .*\Z"):
            read_comment(path)


def test_opencv_reads_the_same_levels(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RGBA)
    stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[..., [2, 1, 0, 3]], RGBA)
