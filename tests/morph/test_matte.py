from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from morph.matte import BLEED, Matte, straight
from morph.media.keyframe import load_keyframe, to_uint8

SIZE = 128
TIMES = np.linspace(0, 1, 9)
CAT = Path(__file__).parents[2] / "samples" / "cat.jpg"
MATTES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def disc(x: float, y: float, radius: float, softness: float = 1, size: int = SIZE) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:size, :size]
    inside = (radius - np.hypot(columns - x, rows - y)) / softness + 0.5
    return np.rint(inside.clip(0, 1) * 255).astype(np.uint8)


def star(points: int = 5, size: int = SIZE) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:size, :size] - size / 2
    reach = size * (0.28 + 0.12 * np.cos(points * np.arctan2(rows, columns)))
    return np.rint((reach - np.hypot(columns, rows) + 0.5).clip(0, 1) * 255).astype(np.uint8)


def areas(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    matte = Matte(first, second)
    return np.array([matte.at(t).sum(dtype=float) for t in TIMES])


def pieces(matte: NDArray[np.float32]) -> int:
    return cv2.connectedComponents((matte > 0.5).astype(np.uint8))[0] - 1


EMPTY, OPAQUE = np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE, SIZE), 255, np.uint8)
SOFT = disc(60, 70, 40, softness=50)
GLASS = np.maximum(disc(50, 60, 20), disc(60, 60, 45) // 3 * 2)
TWO = np.maximum(disc(20, 64, 12), disc(108, 64, 12))
RING = disc(64, 64, 55) - disc(64, 64, 48)
SHAPES = {
    "disc": disc(40.3, 50.7, 20), "star": star(), "soft": SOFT, "glass": GLASS, "two": TWO, "ring": RING,
    "empty": EMPTY, "opaque": OPAQUE, "faint": disc(64, 64, 30) // 3, "border": disc(64, 128, 50),
}  # fmt: skip
PAIRS = [(a, b) for a in SHAPES for b in SHAPES if a < b]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_ends_are_the_keyframes_mattes_bit_for_bit(one: str, other: str) -> None:
    matte = Matte(SHAPES[one], SHAPES[other])
    for t, end in ((0, SHAPES[one]), (1, SHAPES[other])):
        np.testing.assert_array_equal(np.rint(matte.at(t) * 255), end)
        np.testing.assert_array_equal(np.rint(matte.at(t) * 65535), end.astype(int) * 257)


@settings(max_examples=60, deadline=None)
@given(first=MATTES, data=st.data(), t=st.floats(0, 1))
def test_any_mattes_have_mattes_between_them(first: NDArray[np.uint8], data: st.DataObject, t: float) -> None:
    second = data.draw(hnp.arrays(np.uint8, first.shape))
    matte = Matte(first, second)
    between = matte.at(t)
    assert between.dtype == np.float32
    assert between.shape == first.shape
    assert between.min() >= 0
    assert between.max() <= 1
    np.testing.assert_array_equal(np.rint(matte.at(0) * 255), first)
    np.testing.assert_array_equal(np.rint(matte.at(1) * 255), second)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_way_back_is_the_way_there(one: str, other: str) -> None:
    there, back = Matte(SHAPES[one], SHAPES[other]), Matte(SHAPES[other], SHAPES[one])
    for t in TIMES:
        np.testing.assert_allclose(there.at(t), back.at(1 - t), atol=1e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_a_matte_that_stays_is_kept_all_along(name: str) -> None:
    matte = Matte(SHAPES[name], SHAPES[name])
    for t in TIMES:
        np.testing.assert_allclose(matte.at(t), SHAPES[name] / 255, atol=1e-3)


@pytest.mark.parametrize("softness", [1, 12])
def test_a_disc_goes_straight_to_where_it_is_next(softness: float) -> None:
    matte = Matte(disc(20, 30, 14, softness), disc(107, 90, 14, softness))
    for t in TIMES:
        between = matte.at(t)
        assert between.dtype == np.float32
        expected = disc(20 + t * 87, 30 + t * 60, 14, softness) / 255
        assert pieces(between) == 1
        assert np.abs(between - expected).mean() < 0.001
        assert np.abs(between - expected).max() < 0.25


def test_a_disc_grows_evenly() -> None:
    radii = np.sqrt(areas(disc(64, 64, 10), disc(64, 64, 50)) / np.pi)
    np.testing.assert_allclose(radii, 10 + 40 * TIMES, atol=0.1)


@pytest.mark.parametrize(("one", "other"), [pair for pair in PAIRS if "faint" not in pair])
def test_no_shape_vanishes_or_swells_on_the_way(one: str, other: str) -> None:
    steps = np.diff(areas(SHAPES[one], SHAPES[other]))
    if SHAPES[one].sum() > SHAPES[other].sum():
        steps = -steps
    assert steps.min() > -0.02 * SIZE**2


@pytest.mark.parametrize("name", ["disc", "star", "border", "soft"])
def test_a_shape_shrinks_to_nothing_and_grows_over_everything(name: str) -> None:
    for end, area in ((EMPTY, 0), (OPAQUE, SIZE**2)):
        sums = areas(SHAPES[name], end)
        assert sums[-1] == pytest.approx(area, abs=1e-3)
        assert (np.diff(sums) < 0).all() if end is EMPTY else (np.diff(sums) > 0).all()


def test_without_any_outline_it_is_a_fade() -> None:
    faint = np.full((8, 8), 100, np.uint8)
    np.testing.assert_allclose(Matte(faint, faint // 2).at(0.5), 75 / 255, atol=1e-6)
    between = Matte(np.full((8, 8), 255, np.uint8), faint * 0).at(0.5)
    assert between.min() == between.max()
    assert 0 < between.max() < 1


def test_glass_moves_along_and_stays_glass() -> None:
    moved = np.roll(GLASS, (12, -8), (0, 1))
    between = Matte(GLASS, moved).at(0.5)
    np.testing.assert_allclose(between, np.roll(GLASS, (6, -4), (0, 1)) / 255, atol=0.02)


def test_what_is_no_matte_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        Matte(EMPTY, EMPTY[1:])
    with pytest.raises(ValueError, match="float32"):
        Matte(EMPTY, np.zeros((SIZE, SIZE), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wanted at"):
        Matte(EMPTY, EMPTY).at(1.5)


# --- straight colour -----------------------------------------------------------------------------------


def on_black(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.rint(rgba[..., :3] * (rgba[..., 3:] / np.iinfo(rgba.dtype).max))


@pytest.mark.parametrize("alpha", ["disc", "star", "soft", "glass", "ring"])
@pytest.mark.parametrize("size", [(128, 128), (96, 64), (200, 256)])
def test_keyframes_come_back_from_straight_colour(tmp_path: Path, alpha: str, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    picture = Image.open(CAT).convert("RGB").resize((SIZE, SIZE))
    picture.putalpha(Image.fromarray(SHAPES[alpha]))
    picture.save(path)
    keyframe = load_keyframe(path, "", size)
    assert keyframe.alpha is not None
    colour = to_uint8(keyframe.pixels)[0]
    rgba = straight(colour, keyframe.alpha / np.float32(255))
    assert rgba.dtype == np.uint8
    np.testing.assert_array_equal(rgba[..., 3], keyframe.alpha)
    visible = keyframe.alpha > 0
    assert np.abs(on_black(rgba) - colour)[visible].max() <= 1
    if size == (SIZE, SIZE):  # where it is nearly opaque the file's own colours come back
        opaque = keyframe.alpha > 250
        assert np.abs(rgba[opaque].astype(int) - np.asarray(picture)[opaque]).max() <= 1


def test_16_bits_come_back_too() -> None:
    alpha = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    true = np.random.default_rng(3).random((64, 64, 3))
    colour = np.rint(true * np.rint(alpha * 65535)[..., None]).astype(np.uint16)
    rgba = straight(colour, alpha)
    assert rgba.dtype == np.uint16
    assert np.abs(on_black(rgba) - colour).max() <= 1


def test_what_is_brighter_than_its_matte_keeps_its_hue() -> None:
    colour = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    rgba = straight(colour, np.full((4, 4), 0.2, np.float32))
    assert rgba[0, 0].tolist() == [255, 128, 64, 51]


def test_colour_goes_on_a_little_under_what_is_transparent() -> None:
    alpha = disc(64, 64, 30)
    colour = np.rint(alpha[..., None] * np.array([1, 0.5, 0.25])).astype(np.uint8)
    rgba = straight(colour, alpha / np.float32(255))
    near = (alpha == 0) & (disc(64, 64, 30 + BLEED / 2) > 0)
    assert np.abs(rgba[near].astype(int) - (255, 128, 64, 0)).max() <= 3
    assert not rgba[disc(64, 64, 30 + 2 * BLEED) == 0].any()


def test_scaled_down_there_is_no_dark_line() -> None:
    alpha = disc(64, 64, 30)
    white = np.repeat(alpha[..., None], 3, axis=2)
    half = cv2.resize(straight(white, alpha / np.float32(255)), (64, 64), interpolation=cv2.INTER_AREA)
    assert half[half[..., 3] > 0].min(axis=0)[:3].tolist() == [255, 255, 255]


def test_what_a_model_paints_outside_the_matte_is_not_seen() -> None:
    colour = np.full((32, 32, 3), 90, np.uint8)
    rgba = straight(colour, np.zeros((32, 32), np.float32))
    assert not rgba.any()
