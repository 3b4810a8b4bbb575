"""TIFF and EXR: written through OpenImageIO, read back by Pillow, OpenCV and ffmpeg."""

import os
import struct
import subprocess
import sys
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import OpenImageIO
import pytest
from PIL import Image, ImageCms

from morph.errors import InputError
from morph.installed import how_to_install
from morph.media.frame import FrameArray, to_rgb8
from morph.media.stills import check_folder, read_comment, read_still, write_still

RGBA = np.random.default_rng(6).integers(0, 65536, (18, 30, 4), dtype=np.uint16)
KINDS = [RGBA, RGBA[..., :3], (RGBA >> 8).astype(np.uint8), (RGBA[:, ::2, :3] >> 8).astype(np.uint8)]
COMMENT = '{"prompt": "é 🦊", "seed": 7}\n'
NTSC = Fraction(24000, 1001)


def light(codes: np.ndarray, white: int) -> np.ndarray:
    """The sRGB standard's curve, in double precision."""
    share = codes / white
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def decoded_by_ffmpeg(path: Path, frame: np.ndarray) -> np.ndarray:
    layout = "gbrapf16le" if frame.shape[2] == 4 else "gbrpf16le"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", f"file:{path}"]
    done = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", layout, "-"], capture_output=True, check=True)
    planes = np.frombuffer(done.stdout, "<f2").reshape(frame.shape[2], *frame.shape[:2])
    return np.moveaxis(planes[[2, 0, 1, 3][: len(planes)]], 0, 2)


def exr_header(path: Path) -> dict[str, tuple[str, bytes]]:
    """Name, type and value of each attribute, as OpenEXR's file layout has them."""
    file = BytesIO(path.read_bytes())

    def name() -> str:
        return b"".join(iter(lambda: file.read(1), b"\0")).decode()

    assert file.read(4) == b"\x76\x2f\x31\x01"
    file.read(4)
    found = {}
    while key := name():
        kind = name()
        (length,) = struct.unpack("<i", file.read(4))
        found[key] = (kind, file.read(length))
    return found


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".TIF"])
@pytest.mark.parametrize("frame", KINDS)
def test_tiff_comes_back_bit_for_bit(tmp_path: Path, frame: FrameArray, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_still(path, frame, COMMENT)
    back = read_still(path)
    assert back.dtype == frame.dtype
    np.testing.assert_array_equal(back, frame)
    order = [2, 1, 0, 3][: frame.shape[2]]
    if frame.dtype == np.uint16:  # of 8 bits OpenCV would multiply the colours by alpha
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., order], frame)
    assert read_comment(path) == COMMENT


@pytest.mark.parametrize("frame", KINDS[2:])
def test_tiff_is_tagged(tmp_path: Path, frame: FrameArray) -> None:
    path = tmp_path / "a.tif"
    write_still(path, frame, COMMENT)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), frame)
        assert image.tag_v2[270].encode("latin-1").decode() == COMMENT
        assert image.tag_v2.get(338) == ((2,) if frame.shape[2] == 4 else None)  # 2: unassociated alpha
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    write_still(path, frame)
    assert read_comment(path) is None


@pytest.mark.parametrize("frame", KINDS)
def test_exr_holds_linear_light_multiplied_by_alpha(tmp_path: Path, frame: FrameArray) -> None:
    path = tmp_path / "a.exr"
    write_still(path, frame, COMMENT, NTSC)
    white = np.iinfo(frame.dtype).max
    expected = light(frame.astype(float), white)
    if frame.shape[2] == 4:
        expected[..., 3] = frame[..., 3] / white
        expected[..., :3] *= expected[..., 3:]
    np.testing.assert_allclose(decoded_by_ffmpeg(path, frame), expected, rtol=1 / 2000, atol=1e-7)
    back = read_still(path)
    assert back.dtype == np.uint16
    if frame.dtype == np.uint8:
        seen = frame.shape[2] == 3 or frame[..., 3:] > 0
        np.testing.assert_array_equal(np.rint(back / 257), frame * seen)
    else:
        visible = np.s_[...] if frame.shape[2] == 3 else frame[..., 3] > 700
        error = np.abs(back.astype(int) - frame)[visible]
        assert (error <= frame[visible] / 1000 + 1).all()


def test_exr_is_tagged(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    write_still(path, RGBA, COMMENT, NTSC)
    header = exr_header(path)
    # in the order of their names; each a half (1), for every pixel (1, 1)
    channels = b"".join(name + struct.pack("<4i", 1, 0, 1, 1) for name in (b"A\0", b"B\0", b"G\0", b"R\0"))
    assert header["channels"] == ("chlist", channels + b"\0")
    assert header["comment"] == ("string", COMMENT.encode())
    assert header["framesPerSecond"] == ("rational", struct.pack("<iI", 24000, 1001))
    kind, primaries = header["chromaticities"]
    assert kind == "chromaticities"
    np.testing.assert_allclose(
        struct.unpack("<8f", primaries), [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329], atol=1e-6
    )
    spec = OpenImageIO.ImageInput.open(str(path)).spec()
    assert spec.get_string_attribute("oiio:ColorSpace") == "lin_rec709_scene"
    assert read_comment(path) == COMMENT
    write_still(path, RGBA)
    assert not {"comment", "framesPerSecond"} & set(exr_header(path))
    assert read_comment(path) is None


@pytest.mark.parametrize("folder", ["a?b=c&d", "%04d #", "é🦊\n'\"", "-x", "http:"])
@pytest.mark.parametrize("name", ["-x", "a:b?x=1", "%04d", "q'\"\n", "🦊", "n" * 251])
def test_any_name_is_a_file(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    for suffix in (".tif", ".exr"):
        path = tmp_path / folder / f"{name}{suffix}"
        write_still(path, KINDS[3])
        np.testing.assert_array_equal(to_rgb8(read_still(path)), KINDS[3])
        assert list((tmp_path / folder).iterdir()) == [path]
        path.unlink()


def test_a_name_that_is_no_utf8_is_refused_before_the_work(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    for name in ("a.%04d.exr", "a.%04d.tif"):
        with pytest.raises(InputError, match=r"udcff.*UTF-8"):
            check_folder(folder / name)
    with pytest.raises(InputError, match="UTF-8"):
        write_still(folder / "a.tif", KINDS[0])
    check_folder(folder / "a.%04d.png")


@pytest.mark.parametrize("suffix", [".tif", ".exr"])
def test_every_cut_is_found(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_still(path, RGBA[:, :6], COMMENT)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cannot be read \(.*\): .*\Z"):
            read_still(path)


@pytest.mark.parametrize("suffix", [".tif", ".exr"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(KINDS[3]).save(path, format="PNG")
    for read in (read_still, read_comment):
        with pytest.raises(InputError, match=r"cannot be read \(.*\): .*\Z"):
            read(path)


def made(path: Path, names: list[str], kind: str, **attributes: object) -> Path:
    """A file as another program might write it."""
    spec = OpenImageIO.ImageSpec(8, 6, len(names), kind)
    spec.channelnames = tuple(names)
    for name, value in attributes.items():
        if name == "chromaticities":
            spec.attribute(name, "float[8]", value)
        elif name.startswith("full"):
            setattr(spec, name, value)
        else:
            spec.attribute(name, value)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(np.full((6, 8, len(names)), 0.5, np.float32))
    assert output.close()
    return path


def test_what_is_no_frame_is_refused_and_not_guessed(tmp_path: Path) -> None:
    rgb, ap0 = ["R", "G", "B"], (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    for path, reason in [
        (made(tmp_path / "layer.exr", ["beauty.R", "beauty.G", "beauty.B"], "half"), "not R G B"),
        (made(tmp_path / "window.exr", rgb, "half", full_width=9), "windows differ"),
        (made(tmp_path / "aces.exr", rgb, "half", chromaticities=ap0), "not Rec.709"),
        (made(tmp_path / "float.tif", rgb, "float"), "not RGB or grey of 8 or 16 bits"),
        (made(tmp_path / "associated.tif", [*rgb, "A"], "uint8"), "multiplied by alpha"),
    ]:
        with pytest.raises(InputError, match=reason):
            read_still(path)
    assert (read_still(made(tmp_path / "float.exr", rgb, "float")) == 48192).all()
    assert (read_still(made(tmp_path / "grey.tif", ["Y"], "uint16")) == 32768).all()


def test_without_openimageio_one_line_says_what_to_install(tmp_path: Path) -> None:
    script = f"""
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "OpenImageIO" else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from pathlib import Path
import numpy as np
from morph.errors import InputError
from morph.media.stills import FrameFolder, check_folder, read_comment, read_frames, read_still, write_still

folder = Path({str(tmp_path)!r})
frame = np.zeros((4, 4, 3), np.uint8)
calls = [
    lambda: check_folder(folder / "new" / "a.%04d.exr"),
    lambda: FrameFolder(folder / "new" / "a.%04d.tif"),
    lambda: write_still(folder / "a.tif", frame),
    lambda: read_still(folder / "a.exr"),
    lambda: read_comment(folder / "a.tiff"),
]
for call in calls:
    try:
        call()
    except InputError as error:
        print(error)
write_still(folder / "a.png", frame)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(line.endswith(how_to_install("exr")) for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
