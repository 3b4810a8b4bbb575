"""Pictures as phones and the web have them: HEIC, AVIF and GIF."""

import sys
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from morph.errors import KeyframeError
from morph.installed import how_to_install
from morph.media import heif, limits
from morph.media.image import check_image, read_image
from tests.morph.media.test_keyframe import chart, display_p3, outcome, refused

KINDS = ("heic", "avif", "gif")
RAMP = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(64, 0)
DEEP = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], 2)


def saved(picture: Image.Image, path: Path, **options: object) -> Path:
    """A picture under a name that says what kind it is."""
    if path.suffix == ".heic":
        pillow_heif.from_pillow(picture).save(path, quality=95, **options)
    else:
        picture.save(path, **options, **({"quality": 95} if path.suffix == ".avif" else {}))
    return path


def close(pixels: np.ndarray, expected: np.ndarray, most: int = 12) -> bool:
    """Whether corners' middles have these colours."""
    places = [(8, 12), (8, 36), (24, 12), (24, 36)]
    return all(np.abs(pixels[place].astype(int) - expected[place]).max() <= most for place in places)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_read_whatever_they_are_called(tmp_path: Path, kind: str) -> None:
    path = saved(Image.fromarray(chart()), tmp_path / f"a.{kind}")
    for name in (f"a.{kind.upper()}", "IMG_1.JPG", "no suffix"):
        named = path.rename(tmp_path / name)
        check_image(named)
        picture = read_image(named)
        assert close(picture.pixels, chart())
        assert (picture.alpha, picture.notices, picture.depth) == (None, (), 8)
        path = named


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_every_orientation_comes_out_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    upright, transpose = Image.fromarray(chart()), Image.Transpose
    back = {
        2: transpose.FLIP_LEFT_RIGHT,
        3: transpose.ROTATE_180,
        4: transpose.FLIP_TOP_BOTTOM,
        5: transpose.TRANSPOSE,
        6: transpose.ROTATE_90,
        7: transpose.TRANSVERSE,
        8: transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    path = tmp_path / f"a.{kind}"
    saved(stored, path, exif=exif.tobytes())
    pixels = read_image(path).pixels
    assert pixels.shape == (32, 48, 3)
    assert close(pixels, chart())


@pytest.mark.parametrize("kind", KINDS)
def test_mattes_are_kept(tmp_path: Path, kind: str) -> None:
    levels = np.dstack([chart(), np.full((32, 48), 255, np.uint8)])
    levels[:16, :, 3] = 0
    picture = read_image(saved(Image.fromarray(levels), tmp_path / f"a.{kind}"))
    assert picture.alpha is not None
    assert (picture.alpha[:12] < 8).all()
    assert (picture.alpha[20:] > 247).all()
    assert picture.pixels[:12].max() < 8
    assert np.abs(picture.pixels[24, 12].astype(int) - (0, 0, 255)).max() <= 12


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_their_profiles_are_applied(tmp_path: Path, kind: str) -> None:
    grey = Image.new("RGB", (64, 64), (200, 100, 100))
    grey.info["icc_profile"] = display_p3()
    options = {"icc_profile": display_p3()} if kind == "avif" else {}
    pixels, _, notices = read_image(saved(grey, tmp_path / f"a.{kind}", **options))
    assert np.abs(pixels[32, 32].astype(int) - (214, 92, 96)).max() <= 4
    assert notices == ()


@pytest.mark.parametrize(("number", "expected"), [(1, (200, 100, 100)), (12, (214, 92, 96)), (9, (242, 80, 97))])
def test_primaries_without_a_profile_are_those_that_are_said(
    tmp_path: Path, number: int, expected: tuple[int, int, int]
) -> None:
    path = said_to_be(tmp_path / "a.heic", number, 13)
    assert heif.said(path) == (8, number, 13)
    pixels = read_image(path).pixels
    assert np.abs(pixels[32, 32].astype(int) - expected).max() <= 4


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (8, "number 8 of H.273")])
def test_light_that_is_hdr_is_refused(tmp_path: Path, transfer: int, name: str) -> None:
    assert f"its brightness is HDR ({name})" in refused(said_to_be(tmp_path / "a.heic", 9, transfer))


def said_to_be(path: Path, primaries: int, transfer: int) -> Path:
    """A HEIC of one colour, of these primaries and transfer."""
    picture = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (200, 100, 100)))
    picture.info["nclx_profile"] = {
        "color_primaries": primaries,
        "transfer_characteristics": transfer,
        "matrix_coefficients": 6,
        "full_range_flag": 1,
    }
    picture.save(path, quality=95, save_nclx_profile=True)
    data = path.read_bytes()
    place = data.index(b"colrnclx") + 8
    path.write_bytes(data[:place] + bytes([0, primaries, 0, transfer]) + data[place + 4 :])
    return path


def test_the_profile_of_p3_is_that_of_its_makers() -> None:
    ours = ImageCms.ImageCmsProfile(BytesIO(heif.profile(heif.Said(8, 12, 13)) or b""))
    theirs = ImageCms.ImageCmsProfile(BytesIO(display_p3()))
    for colour in ("red_colorant", "green_colorant", "blue_colorant"):
        mine, known = getattr(ours.profile, colour), getattr(theirs.profile, colour)
        np.testing.assert_allclose(mine[0], known[0], atol=2e-3)


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_their_10_bits_are_kept(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "heic":
        pillow_heif.from_bytes("RGB;16", (256, 64), DEEP.tobytes()).save(path, quality=-1, chroma=444)
    else:
        how = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
        assert cv2.imwrite(str(path), np.ascontiguousarray(DEEP[..., ::-1] >> 6), how)
    picture = read_image(path)
    assert (picture.depth, picture.notices) == (16, ())
    assert np.abs(picture.pixels.astype(int) - DEEP).max() < 400  # a level of 8 bits is 257
    assert len(np.unique(picture.pixels)) > 256


@pytest.mark.parametrize(("kind", "notice"), [("gif", "animated: first frame used"), ("avif", "animated: first")])
def test_of_an_animation_the_first_frame_is_used(tmp_path: Path, kind: str, notice: str) -> None:
    frames = [Image.fromarray(levels) for levels in (chart(), 255 - chart())]
    path = tmp_path / f"a.{kind}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    pixels, _, notices = read_image(path)
    assert close(pixels, chart(), 30)
    (said,) = notices
    assert said.startswith(f"{path}: {notice}")


def test_of_several_pictures_in_a_heic_the_main_one_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    several = pillow_heif.from_pillow(Image.fromarray(255 - chart()))
    several.add_from_pillow(Image.fromarray(chart()))
    several.save(path, quality=95, primary_index=1)
    pixels, _, notices = read_image(path)
    assert close(pixels, chart())
    assert notices == (f"{path}: holds several pictures: the main one is used",)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_found_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    path = saved(Image.fromarray(chart()), tmp_path / f"a.{kind}")
    whole, pixels = path.read_bytes(), read_image(path).pixels
    for cut in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:cut])
        result = outcome(path)
        if result is not None:  # the end marker alone was cut
            np.testing.assert_array_equal(result.pixels, pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_a_picture_or_one_clear_error(tmp_path: Path, kind: str) -> None:
    path = saved(Image.fromarray(chart()), tmp_path / f"a.{kind}")
    whole, random = path.read_bytes(), np.random.default_rng(3)
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(256)
        path.write_bytes(data)
        result = outcome(path)
        assert result is None or result.pixels.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_pixels_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.fromarray(chart()), tmp_path / f"a.{kind}")
    monkeypatch.setattr(limits, "MAX_PIXELS", 48 * 32 - 1)
    assert "megapixels" in refused(path)
    with pytest.raises(KeyframeError, match="megapixels"):
        check_image(path)


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "b.heif", "called.jpg"])
def test_without_the_plug_in_its_extra_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.fromarray(chart()), tmp_path / "a.heic").rename(tmp_path / name)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for read in (check_image, read_image):
        with pytest.raises(KeyframeError) as caught:
            read(path)
        assert str(caught.value) == (
            f"{path}: is a HEIC, which needs a plug-in: {how_to_install('heic')}, or save it as a JPEG or PNG"
        )
