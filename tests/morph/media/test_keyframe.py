import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from morph.errors import KeyframeError
from morph.media.image import StillImage, laid_on_black, read_image
from morph.media.keyframe import to_uint8

RNG = np.random.default_rng(7)
NOISE = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)


def chart(width: int = 48, height: int = 32) -> np.ndarray:
    """Four different corners, so that a turned picture is told from an upright one."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, : width // 2] = (0, 0, 255)
    image[height // 2 :, width // 2 :] = (200, 200, 200)
    return image


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int, colour: int) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr)


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def refused(path: Path | str) -> str:
    with pytest.raises(KeyframeError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def outcome(path: Path) -> StillImage | None:
    """The picture, or None where it was refused; any other exception is the test's failure."""
    try:
        return read_image(path)
    except KeyframeError:
        return None


# --- what a good picture becomes -----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_lossless_formats_keep_every_value(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(NOISE).save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels, _, notices = read_image(path)
    np.testing.assert_array_equal(pixels, NOISE)
    assert notices == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = Image.fromarray(chart())
    transpose = Image.Transpose
    stored = {
        1: upright,
        2: upright.transpose(transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(transpose.ROTATE_180),
        4: upright.transpose(transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(transpose.TRANSPOSE),
        6: upright.transpose(transpose.ROTATE_90),
        7: upright.transpose(transpose.TRANSVERSE),
        8: upright.transpose(transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "camera"
    stored.save(path, format=kind, exif=exif, quality=95)
    pixels = read_image(path).pixels
    assert pixels.shape == (32, 48, 3)
    for y, x in [(8, 12), (8, 36), (24, 12), (24, 36)]:
        assert np.abs(pixels[y, x].astype(int) - chart()[y, x]).max() <= 8


def test_broken_exif_is_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(NOISE), format="PNG", exif=b"Exif\0\0II*\0broken"))
    pixels, _, notices = read_image(path)
    np.testing.assert_array_equal(pixels, NOISE)
    assert len(notices) == 1


def test_cmyk(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)
    assert np.abs(read_image(path).pixels.astype(int) - (255, 0, 0)).max() <= 3


def test_transparent_palette_is_laid_on_black(tmp_path: Path) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 1])
    path = tmp_path / "a.png"
    image.save(path, transparency=1)
    pixels, alpha, notices = read_image(path)
    assert pixels.tolist() == [[[255, 0, 0], [0, 0, 0], [0, 0, 255], [0, 0, 0]]]
    assert alpha is not None
    assert alpha.tolist() == [[255, 0, 255, 0]]
    assert notices == ()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_colour_is_laid_on_black_and_its_matte_kept(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (2, 2), (200, 128) if mode == "LA" else (200, 100, 50, 128)).save(path)
    pixels, alpha, notices = read_image(path)
    expected = (100, 100, 100) if mode == "LA" else (100, 50, 25)
    assert np.abs(pixels.astype(int) - expected).max() <= 1
    assert alpha is not None
    assert (alpha == 128).all()
    assert alpha.dtype == np.uint8
    assert notices == ()
    assert laid_on_black(path) == f"{path}: transparent parts are laid on black"


def test_an_opaque_alpha_channel_is_no_news(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).convert("RGBA").save(path)
    pixels, alpha, notices = read_image(path)
    assert alpha is None
    np.testing.assert_array_equal(pixels, NOISE)
    assert notices == ()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    gradient = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient).save(path)
    pixels = read_image(path).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(256) * 257)


def test_32_bit_grey_is_scaled_by_its_whole_range(tmp_path: Path) -> None:
    gradient = np.linspace(0, 2**31 - 1, 256).astype(np.int32)[None].repeat(4, 0)
    path = tmp_path / "a.tiff"
    Image.fromarray(gradient).save(path)
    np.testing.assert_array_equal(read_image(path).pixels[0, :, 0], np.arange(256) * 257)


@pytest.mark.parametrize(("suffix", "kind"), [("webp", "WEBP"), ("png", "PNG")])
def test_of_an_animation_the_first_frame_is_used(tmp_path: Path, suffix: str, kind: str) -> None:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:], **options)
    pixels, _, notices = read_image(path)
    np.testing.assert_array_equal(pixels, NOISE)
    assert notices == (f"{path}: animated: first frame used",)


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "MPO"), ("tiff", "TIFF")])
def test_of_several_pictures_the_first_is_used(tmp_path: Path, suffix: str, kind: str) -> None:
    frames = [Image.fromarray(picture) for picture in (NOISE, 255 - NOISE)]
    path, alone = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:])
    frames[0].save(alone)
    pixels, _, notices = read_image(path)
    np.testing.assert_array_equal(pixels, read_image(alone).pixels)
    assert notices == (f"{path}: holds several pictures: the first is used",)


# --- colour profiles -----------------------------------------------------------------------------------


def display_p3() -> bytes:
    """The sRGB profile with the primaries of Display P3 (adapted to D50, as ICC stores them)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for index in range(struct.unpack_from(">I", profile, 128)[0]):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if tag in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(v * 65536) for v in primaries[tag]))
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_display_p3_becomes_srgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4), (200, 100, 100)).convert(mode).save(path, icc_profile=display_p3())
    pixels, _, notices = read_image(path)
    # By the matrices: linear P3 (0.578, 0.127, 0.127) is linear sRGB (0.679, 0.108, 0.117).
    assert np.abs(pixels[0, 0].astype(int) - (214, 92, 96)).max() <= 2
    assert notices == ()


def test_an_srgb_profile_changes_nothing_visible(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(NOISE).save(path, icc_profile=profile)
    assert np.abs(read_image(path).pixels.astype(int) - NOISE).max() <= 1


def test_a_grey_picture_may_carry_an_rgb_profile(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (4, 4), 100).save(path, icc_profile=display_p3())
    pixels, _, notices = read_image(path)
    assert np.abs(pixels.astype(int) - 100).max() <= 1
    assert notices == ()


def test_a_broken_profile_is_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path, icc_profile=b"not a profile at all")
    pixels, _, notices = read_image(path)
    np.testing.assert_array_equal(pixels, NOISE)
    assert "profile ignored" in notices[0]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_truncated_file_is_found_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    whole = encoded(Image.fromarray(NOISE), format=kind)
    path = tmp_path / "a"
    path.write_bytes(whole)
    pixels = read_image(path).pixels
    for cut in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:cut])
        result = outcome(path)
        # A cut in the end marker, after the last pixel, may pass: then every pixel must be there.
        if result is not None:
            np.testing.assert_array_equal(result.pixels, pixels)
            assert cut >= len(whole) - 12


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_file_is_a_picture_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, damage: list[tuple[float, int]]
) -> None:
    data = bytearray(encoded(Image.fromarray(NOISE[:8, :8]), format=kind))
    for position, value in damage:
        data[int(position * len(data))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    result = outcome(path)
    assert result is None or result.pixels.dtype == (np.uint8 if result.depth == 8 else np.uint16)


def test_a_palette_png_without_its_palette(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(20))) + chunk(b"IEND", b""))
    assert "cannot be read" in refused(path)


def test_postscript_named_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path, format="EPS")
    assert "is PostScript, which is not read" in refused(path)


def test_things_that_are_no_picture_file(tmp_path: Path) -> None:
    empty, pipe = tmp_path / "empty.png", tmp_path / "pipe.png"
    empty.touch()
    os.mkfifo(pipe)
    assert "is empty" in refused(empty)
    assert "a folder" in refused(tmp_path)
    assert "not a regular file" in refused(pipe)  # and does not wait for a writer
    assert "No such file" in refused(tmp_path / "missing.png")
    with pytest.raises(KeyframeError, match="its name has a NUL"):
        read_image("a\0.png")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
    assert "F pixels" in refused(path)


@pytest.mark.parametrize(("width", "height"), [(10000, 9000), (14000, 13000), (60000, 60000)])
def test_bombs_are_refused_before_decoding(tmp_path: Path, width: int, height: int) -> None:
    bodies = {
        "png": png_header(width, height, 8, 2) + png_chunk(b"IDAT", zlib.compress(b"")),
        "bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0),
    }  # fmt: skip
    for suffix, body in bodies.items():
        path = tmp_path / f"bomb.{suffix}"
        path.write_bytes(body)
        start = time.perf_counter()
        assert "megapixels" in refused(path)
        assert time.perf_counter() - start < 0.1


# --- preparing -----------------------------------------------------------------------------------------


def test_all_256_values_come_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8).repeat(3, 2, 1)[None]
    prepared = levels.float() / 127.5 - 1
    np.testing.assert_array_equal(to_uint8(prepared), levels.permute(0, 2, 3, 1).numpy())


def test_to_uint8_clamps_and_takes_half_precision() -> None:
    pixels = torch.tensor([-7.0, 0.0, 7.0], dtype=torch.bfloat16).view(1, 3, 1, 1)
    assert to_uint8(pixels).tolist() == [[[[0, 128, 255]]]]
