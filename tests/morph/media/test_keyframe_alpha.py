"""The mattes of keyframes that are not opaque all over."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morph.media.image import read_image
from morph.media.keyframe import Keyframe, load_keyframe, to_uint8
from tests.morph.media.test_keyframe import png_chunk, png_header

RNG = np.random.default_rng(7)
PIXELS = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_matte_turns_with_the_colour(tmp_path: Path, orientation: int) -> None:
    picture = Image.fromarray(PIXELS)
    picture.putalpha(Image.fromarray(PIXELS[..., 0]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    picture.save(path, exif=exif)
    pixels, alpha, _ = read_image(path)
    assert alpha is not None
    # the red is its own matte, so on black it is squared
    np.testing.assert_allclose(pixels[..., 0], (alpha / 255) ** 2 * 255, atol=0.51)


def cut_out(path: Path, size: tuple[int, int], alpha: np.ndarray) -> Path:
    picture = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    picture.putalpha(Image.fromarray(alpha))
    picture.save(path)
    return path


def matte_of(keyframe: Keyframe) -> np.ndarray:
    assert keyframe.alpha is not None
    assert keyframe.alpha.dtype == np.uint8
    assert keyframe.alpha.shape == keyframe.pixels.shape[2:]
    # premultiplied: no colour is above its matte
    assert (to_uint8(keyframe.pixels)[0].max(axis=2) <= keyframe.alpha).all()
    return keyframe.alpha


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_matte_of_the_right_size_keeps_every_value(tmp_path: Path, fit: str) -> None:
    alpha = PIXELS[..., 1]
    path = cut_out(tmp_path / "a.png", (32, 24), alpha)
    keyframe = load_keyframe(path, "", (32, 24), fit)
    np.testing.assert_array_equal(matte_of(keyframe), alpha)
    np.testing.assert_array_equal(to_uint8(keyframe.pixels)[0], read_image(path).pixels)
    assert keyframe.notices == ()


def test_a_matte_is_cropped_and_scaled_as_its_colour(tmp_path: Path) -> None:
    alpha = np.zeros((40, 120), np.uint8)
    alpha[:, 60:] = 255
    keyframe = load_keyframe(cut_out(tmp_path / "a.png", (120, 40), alpha), "", (20, 20))
    matte = matte_of(keyframe)
    assert (matte[:, :7] == 0).all()
    assert (matte[:, 13:] == 255).all()
    assert abs(matte.mean() - 127.5) < 3


def test_padding_is_transparent_beside_a_matte_alone(tmp_path: Path) -> None:
    path = cut_out(tmp_path / "a.png", (40, 20), np.full((20, 40), 200, np.uint8))
    matte = matte_of(load_keyframe(path, "", (40, 40), "pad"))
    assert (matte[10:30] == 200).all()
    assert not matte[:10].any()
    assert not matte[30:].any()
    Image.open(path).convert("RGB").save(path)
    assert load_keyframe(path, "", (40, 40), "pad").alpha is None


def test_no_matte_is_left_where_the_crop_shows_what_is_opaque(tmp_path: Path) -> None:
    alpha = np.full((20, 100), 255, np.uint8)
    alpha[:, :20] = 0
    path = cut_out(tmp_path / "a.png", (100, 20), alpha)
    assert read_image(path).alpha is not None
    assert load_keyframe(path, "", (20, 20)).alpha is None


def test_a_transparent_16_bit_grey_level_is_ignored_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    rows = b"\0" + np.array([0, 25700, 65535], ">u2").tobytes()
    chunks = png_chunk(b"tRNS", struct.pack(">H", 25700)) + png_chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(png_header(3, 1, 16, 0) + chunks + png_chunk(b"IEND", b""))
    pixels, alpha, notices = read_image(path)
    assert pixels[0, :, 0].tolist() == [0, 25700, 65535]
    assert alpha is None
    assert "transparent grey level is ignored" in notices[0]


def test_a_transparent_16_bit_colour_is_ignored_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    # the second has in its high bytes what the transparent colour has in its low ones
    colours = np.array([(0x1122, 0x3344, 0x5566), (0x2200, 0x4400, 0x6600)], ">u2")
    chunks = png_chunk(b"tRNS", colours[0].tobytes()) + png_chunk(b"IDAT", zlib.compress(b"\0" + colours.tobytes()))
    path.write_bytes(png_header(2, 1, 16, 2) + chunks + png_chunk(b"IEND", b""))
    pixels, alpha, notices = read_image(path)
    assert pixels[0].tolist() == colours.tolist()
    assert alpha is None
    assert notices == (f"{path}: the transparent colour is ignored",)
