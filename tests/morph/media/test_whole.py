"""A picture whose file is cut short is called that, whatever its decoder makes of it."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from morph.media.image import read_image
from morph.media.whole import CUT_SHORT
from tests.morph.media.test_keyframe import encoded, png_chunk, png_header, refused

NOISE = np.random.default_rng(3).integers(1, 256, (96, 120, 3)).astype(np.uint8)
PICTURE = Image.fromarray(NOISE)


def heic() -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(PICTURE).save(buffer)
    return buffer.getvalue()


FILES = {
    "PNG": lambda: encoded(PICTURE, format="PNG"),
    "JPEG": lambda: encoded(PICTURE, format="JPEG"),
    "progressive JPEG": lambda: encoded(PICTURE, format="JPEG", progressive=True),
    "WebP": lambda: encoded(PICTURE, format="WEBP"),
    "lossless WebP": lambda: encoded(PICTURE, format="WEBP", lossless=True),
    "GIF": lambda: encoded(PICTURE, format="GIF"),
    "BMP": lambda: encoded(PICTURE, format="BMP"),
    "AVIF": lambda: encoded(PICTURE, format="AVIF"),
    "HEIC": heic,
    "TIFF": lambda: encoded(PICTURE, format="TIFF"),
    "LZW": lambda: encoded(PICTURE, format="TIFF", compression="tiff_lzw"),
    "deflated TIFF": lambda: encoded(PICTURE, format="TIFF", compression="tiff_deflate"),
    "JPEG in TIFF": lambda: encoded(PICTURE, format="TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", FILES)
def test_a_cut_is_called_a_cut(tmp_path: Path, kind: str, share: float, capfd: pytest.CaptureFixture[str]) -> None:
    path, data = tmp_path / "a", FILES[kind]()
    path.write_bytes(data)
    read_image(path)
    path.write_bytes(data[: int(share * len(data))])
    assert refused(path) == f"{path}: {CUT_SHORT}"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_with_data_for_a_few_of_its_rows(tmp_path: Path, depth: int, interlaced: int) -> None:
    header = struct.pack(">IIBBBBB", 8, 6000, depth, 2, 0, 0, interlaced)
    path = tmp_path / "a.png"
    rows = b"\0" + bytes([0 if interlaced else 0x77]) * (8 * 3 * depth // 8)
    for count in (64, 5000):
        body = png_chunk(b"IDAT", zlib.compress(rows * count)) + png_chunk(b"IEND", b"")
        path.write_bytes(png_header(8, 6000, depth, 2)[:8] + png_chunk(b"IHDR", header) + body)
        assert refused(path) == f"{path}: {CUT_SHORT}"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_a_black_png_is_whole(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    for size in ((1, 1), (7, 5), (64, 33)):
        Image.new(mode, size).save(path)
        assert not read_image(path).pixels.any()


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 9), (33, 17)])
def test_a_black_interlaced_png_is_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    parts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b"".join(
        b"\0" + bytes(3 * len(range(left, width, across)))
        for left, top, across, down in parts
        for _ in range(top, height, down)
        if range(left, width, across)
    )
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    path = tmp_path / "a.png"
    body = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    assert read_image(path).pixels.shape == (height, width, 3)


def test_a_jpeg_whose_end_was_put_on_too_early(tmp_path: Path) -> None:
    path, data = tmp_path / "a.jpg", FILES["JPEG"]()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    assert refused(path) == f"{path}: {CUT_SHORT}"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_grey_jpeg_is_whole(tmp_path: Path, mode: str, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    grey = {"L": 128, "RGB": (128, 128, 128), "CMYK": (127, 127, 127, 127)}[mode]
    Image.new(mode, (50, 40), grey).save(path, progressive=progressive)
    assert read_image(path).pixels.shape == (40, 50, 3)


def test_a_jpeg_that_lacks_its_end_marker_alone_has_every_pixel(tmp_path: Path) -> None:
    path, data = tmp_path / "a.jpg", FILES["JPEG"]()
    path.write_bytes(data)
    whole = read_image(path).pixels
    path.write_bytes(data + b"trailing rubbish")
    np.testing.assert_array_equal(read_image(path).pixels, whole)
