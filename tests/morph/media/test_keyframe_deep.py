"""Pictures of 16 bits keep them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from morph.media.image import read_image
from morph.media.keyframe import load_keyframe, to_levels, to_uint8
from tests.morph.media.test_keyframe import display_p3, outcome, png_chunk, png_header, refused

NOISE = np.random.default_rng(7).integers(0, 65536, (24, 32, 4)).astype(np.uint16)
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of PNG's kinds of colour
EVERY = np.arange(65536).astype(np.uint16).reshape(256, 256, 1).repeat(3, 2)


def png(pixels: NDArray[np.uint16], kind: int, *chunks: bytes) -> bytes:
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = [*chunks, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return png_header(width, height, 16, kind) + b"".join(body)


def profiled(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))


def tiff(path: Path, pixels: NDArray[np.uint16], **attributes: object) -> Path:
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "uint16")
    for name, value in attributes.items():
        spec.attribute(name.replace("_", ":"), value)
    output = OpenImageIO.ImageOutput.create("tiff")
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    assert output.close()
    return path


def on_black(pixels: NDArray[np.uint16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Straight colour of 16 bits laid on black by the 8 bits of its alpha, and these."""
    alpha = np.rint(pixels[..., -1] / 257)
    return np.rint(pixels[..., :-1] * (alpha[..., None] / 255)), alpha


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_each_of_the_65536_levels_comes_back(tmp_path: Path, suffix: str, fit: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(png(EVERY, 2))
    else:
        tiff(path, EVERY)
    keyframe = load_keyframe(path, "a", (256, 256), fit)
    assert (keyframe.depth, keyframe.notices, keyframe.alpha) == (16, (), None)
    assert keyframe.pixels.dtype == torch.float32
    assert (keyframe.pixels.min(), keyframe.pixels.max()) == (-1, 1)
    np.testing.assert_array_equal(to_levels(keyframe.pixels, 16)[0], EVERY)


@pytest.mark.parametrize("kind", CHANNELS)
def test_all_kinds_of_png(tmp_path: Path, kind: int) -> None:
    stored = NOISE[..., : CHANNELS[kind]]
    path = tmp_path / "no suffix"
    path.write_bytes(png(stored, kind))
    picture = read_image(path)
    assert (picture.depth, picture.notices) == (16, ())
    if kind in (0, 2):
        assert picture.alpha is None
        np.testing.assert_array_equal(picture.pixels, np.broadcast_to(stored, (24, 32, 3)))
    else:
        colour, alpha = on_black(stored)
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha, alpha)
        assert np.abs(picture.pixels - np.broadcast_to(colour, (24, 32, 3))).max() <= 1
        keyframe = load_keyframe(path, "", (32, 24))
        np.testing.assert_array_equal(keyframe.alpha, alpha)
        np.testing.assert_array_equal(to_levels(keyframe.pixels, 16)[0], picture.pixels)


@pytest.mark.parametrize("compression", ["none", "lzw", "zip"])
@pytest.mark.parametrize("alpha", ["", "straight", "premultiplied"])
def test_kinds_of_tiff(tmp_path: Path, compression: str, alpha: str) -> None:
    stored = NOISE if alpha else NOISE[..., :3]
    if alpha == "premultiplied":
        stored = np.minimum(stored, stored[..., 3:])
    how = {"oiio_UnassociatedAlpha": 1} if alpha == "straight" else {}
    picture = read_image(tiff(tmp_path / "a", stored, compression=compression, **how))
    assert (picture.depth, picture.notices) == (16, ())
    if not alpha:
        np.testing.assert_array_equal(picture.pixels, stored)
        return
    colour, matte = on_black(stored)
    np.testing.assert_array_equal(picture.alpha, matte)
    # of premultiplied colours the matte's rounding to 8 bits moves a few
    expected, most = (colour, 1) if alpha == "straight" else (stored[..., :3].astype(float), 129)
    assert np.abs(picture.pixels - expected).max() <= most


@pytest.mark.parametrize("inverted", [False, True])
def test_grey_tiffs(tmp_path: Path, inverted: bool) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(EVERY[..., 0]).save(path, tiffinfo={262: 0} if inverted else {})
    pixels = read_image(path).pixels
    np.testing.assert_array_equal(pixels, 65535 - EVERY if inverted else EVERY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_they_stand_upright_as_their_8_bits_do(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    coarse, path = tmp_path / "coarse.png", tmp_path / "a"
    Image.fromarray((NOISE >> 8).astype(np.uint8)).save(coarse, exif=exif)
    if kind == "png":
        path.write_bytes(png(NOISE, 6, png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    else:
        tiff(path, NOISE, Orientation=orientation, oiio_UnassociatedAlpha=1)
    picture, expected = read_image(path), read_image(coarse)
    assert picture.depth == 16
    np.testing.assert_allclose(picture.pixels / 257, expected.pixels, atol=2)
    np.testing.assert_allclose(picture.alpha, expected.alpha, atol=1)


@pytest.mark.parametrize("size", [(20, 20), (64, 24), (50, 90)])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_they_are_scaled_as_8_bits_are_but_finer(tmp_path: Path, size: tuple[int, int], fit: str) -> None:
    # of middling contrast: Pillow's 8-bit filter clips, and rounds, between its two directions
    levels = np.random.default_rng(1).integers(100, 156, (24, 32, 4)).astype(np.uint8)
    coarse, path = tmp_path / "coarse.png", tmp_path / "a.png"
    Image.fromarray(levels).save(coarse)
    path.write_bytes(png(levels.astype(np.uint16) * 257, 6))
    fine, plain = load_keyframe(path, "", size, fit), load_keyframe(coarse, "", size, fit)
    assert (fine.depth, plain.depth) == (16, 8)
    assert np.abs(to_uint8(fine.pixels).astype(int) - to_uint8(plain.pixels)).max() <= 2
    np.testing.assert_allclose(fine.alpha, plain.alpha, atol=2)
    assert (to_levels(fine.pixels, 16)[0].max(axis=2) <= fine.alpha.astype(int) * 257).all()


def test_a_ramp_that_is_enlarged_has_levels_between_those_of_8_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.linspace(30000, 31000, 64).astype(np.uint16)[None, :, None].repeat(8, 0), 0))
    levels = to_levels(load_keyframe(path, "", (128, 16)).pixels, 16)[0, 8, 8:-8, 1].astype(int)
    assert np.abs(np.diff(levels) - 1000 / 126).max() < 3


@pytest.mark.parametrize("kind", [0, 2, 6])
def test_an_srgb_profile_keeps_16_bits(tmp_path: Path, kind: int) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stored = NOISE[..., : CHANNELS[kind]]
    plain, path = tmp_path / "plain.png", tmp_path / "a.png"
    plain.write_bytes(png(stored, kind))
    path.write_bytes(png(stored, kind, profiled(profile)))
    picture = read_image(path)
    assert (picture.depth, picture.notices) == (16, ())
    np.testing.assert_array_equal(picture.pixels, read_image(plain).pixels)


def test_another_profile_is_applied_in_8_bits_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.full((4, 4, 3), np.array([200, 100, 100]) * 257), 2, profiled(display_p3())))
    picture = read_image(path)
    assert picture.depth == 8
    assert load_keyframe(path, "", (4, 4)).depth == 8
    assert np.abs(picture.pixels[0, 0].astype(int) - (214, 92, 96)).max() <= 2
    assert picture.notices == (
        f"{path}: its colour profile is applied in 8 bits; convert it to sRGB to keep its 16",
    )


def test_a_broken_profile_keeps_16_bits_and_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(NOISE[..., :3], 2, profiled(b"not a profile at all")))
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels, NOISE[..., :3])
    assert len(picture.notices) == 1
    assert "profile ignored" in picture.notices[0]


def test_what_only_one_decoder_reads_right_is_read_in_8_bits_and_told(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tiff", NOISE[..., :3], compression="zip", planarconfig="separate")
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels, NOISE[..., :3] >> 8)
    assert picture.notices == (f"{path}: only 8 of its 16 bits can be read; a 16-bit RGB PNG would keep them",)


def test_planes_that_pillow_would_read_as_8_bits_are_refused(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tiff", NOISE[..., :3], compression="none", planarconfig="separate")
    assert "stored by planes" in refused(path)


def test_of_a_16_bit_animation_the_first_frame_is_used(tmp_path: Path) -> None:
    control = png_chunk(b"acTL", struct.pack(">II", 2, 0))
    shows = [png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 32, 24, 0, 0, 1, 10, 0, 0)) for number in (0, 1)]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in 65535 - NOISE[..., :3])
    second = png_chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(rows))
    whole = png(NOISE[..., :3], 2, control, shows[0])
    path = tmp_path / "a.png"
    path.write_bytes(whole[:-12] + shows[1] + second + whole[-12:])
    picture = read_image(path)
    np.testing.assert_array_equal(picture.pixels, NOISE[..., :3])
    assert picture.notices == (f"{path}: animated: first frame used",)


@pytest.mark.parametrize("kind", ["png", "none", "lzw"])
def test_a_truncated_file_is_found_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "png":
        path.write_bytes(png(NOISE, 6))
    else:
        tiff(path, NOISE, compression=kind, oiio_UnassociatedAlpha=1)
    whole, picture = path.read_bytes(), read_image(path)
    for cut in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:cut])
        result = outcome(path)
        # A cut in the end marker, or in a TIFF's last tag, may pass: then every pixel must be there.
        if result is not None:
            np.testing.assert_array_equal(result.pixels, picture.pixels)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["png", "tiff"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_file_is_a_picture_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, damage: list[tuple[float, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    small = NOISE[:8, :8]
    data = bytearray(png(small, 6) if kind == "png" else tiff(path, small).read_bytes())
    for position, value in damage:
        data[int(position * len(data))] = value
    path.write_bytes(data)
    result = outcome(path)
    assert result is None or result.depth in (8, 16)


def test_bombs_are_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(14000, 13000, 16, 6) + png_chunk(b"IDAT", zlib.compress(b"")))
    assert "megapixels" in refused(path)
