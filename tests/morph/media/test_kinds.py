"""What is no picture that is read is called by its name, whatever its suffix says."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from morph.media.image import check_image, read_image
from morph.media.kinds import CAMERA_RAW, FILM, HEIF, kind_of
from tests.morph.media.test_keyframe import chart, refused

BEGINNINGS = {
    "a JPEG XL": (b"\xff\x0a\xfa\x1f", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "a JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n",),
    "an SVG": (
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'\xef\xbb\xbf<?xml version="1.0"?>\r\n<!-- drawn -->\r\n<svg/>',
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">\n<SVG/>',
    ),
    "a web page": (b"<!DOCTYPE html><html>", b"\n<html lang=de>"),
    "a Photoshop file": (b"8BPS\0\1",),
    "a GIMP file": (b"gimp xcf v011\0",),
    "a PDF": (b"%PDF-1.7",),
    "an EXR": (b"\x76\x2f\x31\x01\2\0\0\0",),
    CAMERA_RAW: (b"FUJIFILMCCD-RAW 0201", b"IIU\0\x18\0\0\0", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"),
    HEIF: (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", b"\0\0\0\x18ftypheix\0\0\0\0mif1heix"),
    FILM: (b"\0\0\0\x18ftypqt  \0\0\2\0qt  \0\0\0\0", b"RIFF\0\0\0\0AVI LIST", (b"G" + bytes(187)) * 4),
}


@pytest.mark.parametrize(
    ("kind", "start"), [(kind, start) for kind, starts in BEGINNINGS.items() for start in starts]
)
def test_kinds_are_told_by_their_first_bytes(tmp_path: Path, kind: str, start: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(start)
    assert kind_of(path) == kind


def test_what_pillow_reads_is_none_of_them(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "webp", "tiff", "bmp", "gif", "avif"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(chart()).save(path)
        assert kind_of(path) is None
    frames = [Image.fromarray(chart()), Image.fromarray(255 - chart())]
    frames[0].save(path, save_all=True, append_images=frames[1:])  # of brand avis
    assert kind_of(path) is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "flv", "mpg"])
def test_a_film_is_called_one_whatever_its_name(tmp_path: Path, suffix: str) -> None:
    film, path = tmp_path / f"a.{suffix}", tmp_path / "a.jpg"
    source = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2"]
    subprocess.run([*source, film], check=True)
    assert "is a film: name a frame of it" in refused(film)
    assert "is a film: name a frame of it" in refused(film.rename(path))


@pytest.mark.parametrize("name", ["a.dng", "a.NEF", "a.arw", "a.tif"])
def test_of_raw_pictures_the_thumbnail_is_not_taken(tmp_path: Path, name: str) -> None:
    tags = ImageFileDirectory_v2()
    tags[254] = 1  # a smaller version of the other picture in the file
    if name.endswith("tif"):
        tags[50706] = b"\1\4\0\0"
        tags.tagtype[50706] = 1
    path = tmp_path / name
    Image.fromarray(chart()).save(path, format="TIFF", tiffinfo=tags)
    assert "is a camera's raw picture: develop it, and save that as a TIFF or PNG" in refused(path)


@pytest.mark.parametrize("suffix", ["jpe", "jfif", "JPG", "TIF", "heic"])
def test_a_suffix_is_never_believed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(chart()).save(path, format="PNG")
    check_image(path)
    np.testing.assert_array_equal(read_image(path).pixels, chart())
