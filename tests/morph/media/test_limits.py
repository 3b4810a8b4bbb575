"""No picture that is accepted takes more than a gibibyte, and no file keeps a decoder for long."""

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO
import pillow_heif
import pytest
from PIL import Image

from morph.media import limits
from morph.media.image import check_image, read_image
from morph.media.light import to_linear
from morph.media.stills import read_still, write_still
from tests.morph.media.test_keyframe import encoded, png_chunk, png_header, refused

CHILD = """
import sys
from pathlib import Path
import cv2, pillow_heif
from morph.errors import MorphError
from morph.media.image import read_image
from morph.media.stills import read_still

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = peak()
try:
    (read_image if sys.argv[2] == "image" else read_still)(Path(sys.argv[1]))
    print("accepted", end=" ")
except MorphError as error:
    print("refused:", error, end=" ")
print(peak() - before)
"""
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def memory(path: Path, reader: str = "image") -> tuple[bool, int]:
    """Whether a picture is accepted, and the bytes that reading it takes on top of imports, in another process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), reader], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout.startswith("accepted"), int(done.stdout.split()[-1]) * 1024


def plain_png(path: Path, width: int, height: int, depth: int, kind: int) -> Path:
    """A PNG of one colour; only its file is small."""
    packer = zlib.compressobj(1)
    row = b"\0" + b"\x80\x7f" * (width * CHANNELS[kind] * depth // 16)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    path.write_bytes(png_header(width, height, depth, kind) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b""))
    return path


def side(cost: float) -> int:
    """Of the largest square whose pixels may take so many bytes each."""
    return int(min(limits.MEMORY / cost, limits.MAX_PIXELS) ** 0.5) // 16 * 16 - 16


def plain_tiff(path: Path, width: int, height: int) -> Path:
    spec = OpenImageIO.ImageSpec(width, height, 4, "uint16")
    spec.attribute("compression", "lzw")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    output = OpenImageIO.ImageOutput.create("tiff")
    assert output.open(str(path), spec)
    row = np.full((width, 4), 30000, np.uint16)
    assert all(output.write_scanline(y, 0, row) for y in range(height))
    assert output.close()
    return path


def saved(mode: str, cost: float, suffix: str, **options: object) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        Image.new(mode, (side(cost), side(cost)), 100).save(folder / f"a.{suffix}", **options)
        return folder / f"a.{suffix}"

    return save


TURNED = Image.Exif()
TURNED[0x0112] = 6
LARGEST = {
    "PNG of 8 bits with alpha": lambda folder: plain_png(folder / "a.png", side(11), side(11), 8, 6),
    "PNG of 16 bits": lambda folder: plain_png(folder / "a.png", side(17.1), side(17.1), 16, 2),
    "PNG of 16 bits with alpha": lambda folder: plain_png(folder / "a.png", side(21.1), side(21.1), 16, 6),
    "PNG of 16-bit grey": lambda folder: plain_png(folder / "a.png", side(13), side(13), 16, 0),
    "JPEG that is turned": saved("RGB", 11, "jpg", exif=TURNED),
    "JPEG of four inks": saved("CMYK", 11, "jpg"),
    "WebP with alpha": saved("RGBA", 18.1, "webp", lossless=True, quality=0, method=0),
    "GIF": saved("P", 11, "gif", transparency=100),
    "BMP": saved("RGB", 11, "bmp"),
    "TIFF with alpha": saved("RGBA", 12.1, "tif", compression="tiff_lzw"),
    "TIFF of 16 bits with alpha": lambda folder: plain_tiff(folder / "a.tif", side(21.2), side(21.2)),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_picture_of_a_kind_takes_less_than_a_gibibyte(tmp_path: Path, kind: str) -> None:
    path = LARGEST[kind](tmp_path)
    accepted, taken = memory(path)
    assert accepted
    assert limits.MEMORY / 4 < taken < limits.MEMORY


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
@pytest.mark.parametrize("kind", ["heic", "avif", "webp"])
def test_what_a_pixel_takes_is_what_is_reckoned(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (15, 20, 4)).astype(np.uint8)
    picture = Image.fromarray(noise.repeat(100, 0).repeat(100, 1))
    path = tmp_path / f"a.{kind}"
    if kind == "heic":
        pillow_heif.from_pillow(picture).save(path, quality=50, chroma=444)
    else:
        picture.save(path, quality=50, **({"subsampling": "4:4:4", "speed": 10} if kind == "avif" else {}))
    by_pixel, by_byte = limits._COSTS["HEIF" if kind == "heic" else kind.upper()]
    accepted, taken = memory(path)
    assert accepted
    library = 14 * 2**20  # what a decoder takes whatever the size, with as many threads as it likes
    assert taken < by_pixel * 3_000_000 + by_byte * path.stat().st_size + library


def test_more_is_refused_in_one_line_before_it_is_decoded(tmp_path: Path) -> None:
    path = plain_png(tmp_path / "a.png", 8192, 7000, 16, 6)
    start = time.process_time()
    assert "is 57 megapixels of 16 bits, at most 51 megapixels of it can be read in 1 GiB" in refused(path)
    assert time.process_time() - start < 1
    lossless = struct.pack("<I", (16383 - 1) | (16383 - 1) << 14)
    webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + lossless + b"\x88\x88\x08\0\0\0\0\0\0"
    for body in (webp, b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x1f\0" * 2 + bytes(4)):
        path.write_bytes(body)
        assert "megapixels" in refused(path)  # Pillow would make room for all of it as it opens the file
    assert memory(path)[1] < 2**25


def test_a_sequence_of_large_stills_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="more than 1024 MiB"):
        read_still(plain_png(tmp_path / "a.png", 8192, 8192, 16, 6))
    frame = np.full((64, 64, 4), 30000, np.uint16)
    for name in ("a.png", "a.tif", "a.exr"):
        write_still(tmp_path / name, frame)
        assert read_still(tmp_path / name).shape == frame.shape
    assert to_linear(frame).shape == frame.shape


# --- time ----------------------------------------------------------------------------------------------


def scans(count: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A progressive JPEG with its last scan repeated."""
    whole = encoded(Image.new("L", size, 100), format="JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xc4") : -2]
    return whole[:-2] + last * count + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(scans(0))
    assert read_image(path).depth == 8
    path.write_bytes(scans(80))
    assert read_image(path).depth == 8
    for body in (scans(20_000), scans(95, (8192, 4096))):
        path.write_bytes(body)
        start = time.process_time()
        assert "a JPEG of too many scans: save it again as a PNG" in refused(path)
        assert time.process_time() - start < 1


def jpeg_of_parts(part: bytes, count: int, start: int = 2) -> bytes:
    whole = encoded(Image.new("L", (8, 8)), format="JPEG")
    return whole[:start] + part * count + whole[start:]


MANY = {
    "markers": lambda: jpeg_of_parts(b"\xff\xfe\0\2", 20_000),
    "junk": lambda: jpeg_of_parts(b"\0", 2_000_000, 20),
    "chunks": lambda: png_header(4, 4, 8, 2) + png_chunk(b"teSt", b"") * 200_000,
    "blocks of a GIF": lambda: b"GIF89a\4\0\4\0\0\0\0" + b"\x21\xff\1\0\0" * 200_000,
}


@pytest.mark.parametrize("kind", MANY)
def test_parts_without_end_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(MANY[kind]())
    start = time.process_time()
    assert "too many" in refused(path)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_frames_and_pages_cost_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    pages = [Image.new("L", (8, 8), shade) for shade in range(200)]
    pages[0].save(path, format=kind, save_all=True, append_images=pages[1:])
    start = time.process_time()
    assert read_image(path).notices
    assert time.process_time() - start < 1


def test_the_frames_of_an_apng_are_not_looked_at(tmp_path: Path) -> None:
    shows = b"".join(
        png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * n + 1, 4, 4, 0, 0, 1, 9, 0, 0))
        + png_chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + zlib.compress(bytes(20)))
        for n in range(100_000)
    )
    first = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 4, 4, 0, 0, 1, 9, 0, 0))
    head = png_header(4, 4, 8, 0) + png_chunk(b"acTL", struct.pack(">II", 100_001, 0)) + first
    path = tmp_path / "a.png"
    path.write_bytes(head + png_chunk(b"IDAT", zlib.compress(bytes(20))) + shows + png_chunk(b"IEND", b""))
    start = time.process_time()
    assert read_image(path).notices == (f"{path}: animated: first frame used",)
    assert time.process_time() - start < 2


def test_a_compressed_bmp_is_small(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    head = struct.pack("<IiiHHIIiiII", 40, 6000, 6000, 1, 8, 1, 0, 0, 0, 256, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 2000, 0, 0, 54 + 1024) + head + bytes(1024) + b"\0\1")
    assert "a compressed BMP of that many pixels is not read" in refused(path)


# --- what grows as it is unpacked ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path, kind: bytes) -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    head = b"a\0\1\0\0\0" if kind == b"iTXt" else b"a\0\0"
    whole = encoded(Image.new("L", (8, 8)), format="PNG")
    path = tmp_path / "a.png"
    path.write_bytes(whole[:33] + png_chunk(kind, head + bomb) + whole[33:])
    accepted, taken = memory(path)
    assert not accepted
    assert taken < 2**26


def directory(entries: int, kind: int, count: int, order: str = "<") -> bytes:
    """A TIFF's directory whose values all lie over one another."""
    listed = b"".join(struct.pack(f"{order}HHII", 60000 + n % 5000, kind, count, 0) for n in range(entries))
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, entries) + listed + bytes(4)


@pytest.mark.parametrize("order", "<>")
def test_tags_that_lie_over_one_another_are_not_read(tmp_path: Path, order: str) -> None:
    body = directory(60_000, 7, 700_000, order)
    whole = encoded(Image.new("L", (8, 8)), format="JPEG")
    cut = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in cut)
    path = tmp_path / "a"
    for data in (body, whole[:2] + segments + whole[2:]):
        path.write_bytes(data)
        assert "its tags take more room than any picture's" in refused(path)
        with pytest.raises(Exception, match="its tags take more room"):
            check_image(path)
    png = encoded(Image.new("L", (8, 8)), format="PNG")
    path.write_bytes(png[:33] + png_chunk(b"eXIf", body) + png[33:])
    assert read_image(path).notices == (f"{path}: EXIF data is damaged: orientation ignored",)
    text = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n  1\n" + body[:300_000].hex().encode())
    path.write_bytes(png[:33] + png_chunk(b"zTXt", text) + png[33:])
    assert memory(path)[1] < 2**28


def test_a_tag_of_millions_of_numbers_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(directory(1, 4, 2_000_000) + bytes(8_000_000))
    assert "its tags take more room than any picture's" in refused(path)


def test_an_editors_layers_are_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    layers = os.urandom(3 * 2**20)
    Image.new("RGB", (32, 32), (10, 20, 30)).save(path, tiffinfo={37724: layers})
    assert (read_image(path).pixels == (10, 20, 30)).all()


def test_the_largest_profile_that_a_camera_writes_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 3, "x" * 60_000
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "JPEG", exif=exif, quality=100)
    path.write_bytes(buffer.getvalue())
    assert read_image(path).pixels[0, 0, 0] > 55
