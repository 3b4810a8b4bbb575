"""What decoders print from C stays off the screen, and nothing else does."""

import os
import subprocess
import sys
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morph.errors import KeyframeError
from morph.media.image import check_image, read_image
from morph.media.quiet import quiet
from tests.morph.media.test_keyframe import encoded, png_chunk, png_header, refused

NOISE = np.random.default_rng(5).integers(0, 256, (64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4"])
def test_libtiff_says_nothing(tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    picture = Image.fromarray(NOISE).convert("1" if compression == "group4" else "RGB")
    data = bytearray(encoded(picture, format="TIFF", compression=compression))
    path = tmp_path / "a.tif"
    for start in range(8, len(data) - 40, len(data) // 20):
        damaged = bytearray(data)
        damaged[start : start + 40] = bytes(40)
        path.write_bytes(damaged)
        for read in (read_image, check_image):
            with suppress(KeyframeError):
                read(path)
    assert capfd.readouterr() == ("", "")


def test_libpng_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    rows = zlib.compress(b"\0" + bytes(6 * 8))
    path.write_bytes(png_header(8, 8, 16, 2) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b""))
    assert "cut short" in refused(path)
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"no profile"))
    whole = zlib.compress((b"\0" + bytes(6 * 8)) * 8)
    path.write_bytes(png_header(8, 8, 16, 2) + profile + png_chunk(b"IDAT", whole) + png_chunk(b"IEND", b""))
    assert read_image(path).depth == 16
    assert capfd.readouterr() == ("", "")


def test_what_others_say_meanwhile_is_printed_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"TIFFFillStrip: Read error on strip 2.\nTraceback of another thread\n")
        with quiet():
            os.write(2, b"libpng warning: iCCP: known incorrect sRGB profile\nand its last line")
    os.write(2, b"; then as ever\n")
    assert capfd.readouterr().err == "Traceback of another thread\nand its last line; then as ever\n"


def test_threads_share_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(Image.fromarray(NOISE), format="TIFF", compression="tiff_lzw")[:-300] + bytes(300))

    def read() -> None:
        for _ in range(20):
            with pytest.raises(KeyframeError):
                read_image(path)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"here\n")
    assert capfd.readouterr() == ("", "here\n")


def test_a_process_without_stderr_reads_too(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    code = (
        f"import os; os.close(2)\nfrom morph.media.image import read_image\nprint(read_image({str(path)!r}).depth)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "8\n"
