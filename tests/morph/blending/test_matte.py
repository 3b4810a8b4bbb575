from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from morph.blending.matte import BLEED, Matte, cut_out, extended, on_black
from morph.media.frame import to_rgb8
from morph.media.keyframe import load_keyframe, to_levels, to_uint8

SIZE = 128
POSITIONS = np.linspace(0, 1, 9)
CAT = Path(__file__).parents[3] / "samples" / "cat.jpg"
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
    return np.array([matte.at(position).sum(dtype=float) for position in POSITIONS])


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


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_ends_are_the_keyframes_mattes_bit_for_bit(first: str, second: str) -> None:
    matte = Matte(SHAPES[first], SHAPES[second])
    for position, end in ((0, SHAPES[first]), (1, SHAPES[second])):
        np.testing.assert_array_equal(np.rint(matte.at(position) * 255), end)
        np.testing.assert_array_equal(np.rint(matte.at(position) * 65535), end.astype(int) * 257)


@settings(max_examples=60, deadline=None)
@given(first=MATTES, data=st.data(), position=st.floats(0, 1))
def test_any_mattes_have_mattes_between_them(
    first: NDArray[np.uint8], data: st.DataObject, position: float
) -> None:
    second = data.draw(hnp.arrays(np.uint8, first.shape))
    matte = Matte(first, second)
    between = matte.at(position)
    assert between.dtype == np.float32
    assert between.shape == first.shape
    assert between.min() >= 0
    assert between.max() <= 1
    np.testing.assert_array_equal(np.rint(matte.at(0) * 255), first)
    np.testing.assert_array_equal(np.rint(matte.at(1) * 255), second)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_way_back_is_the_way_there(first: str, second: str) -> None:
    forward, backward = Matte(SHAPES[first], SHAPES[second]), Matte(SHAPES[second], SHAPES[first])
    for position in POSITIONS:
        np.testing.assert_allclose(forward.at(position), backward.at(1 - position), atol=1e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_a_matte_that_stays_is_kept_all_along(name: str) -> None:
    matte = Matte(SHAPES[name], SHAPES[name])
    for position in POSITIONS:
        np.testing.assert_allclose(matte.at(position), SHAPES[name] / 255, atol=1e-3)


@pytest.mark.parametrize("softness", [1, 12])
def test_a_disc_goes_straight_to_where_it_is_next(softness: float) -> None:
    matte = Matte(disc(20, 30, 14, softness), disc(107, 90, 14, softness))
    for position in POSITIONS:
        between = matte.at(position)
        assert between.dtype == np.float32
        expected = disc(20 + position * 87, 30 + position * 60, 14, softness) / 255
        assert pieces(between) == 1
        assert np.abs(between - expected).mean() < 0.001
        assert np.abs(between - expected).max() < 0.25


def test_a_disc_grows_evenly() -> None:
    radii = np.sqrt(areas(disc(64, 64, 10), disc(64, 64, 50)) / np.pi)
    np.testing.assert_allclose(radii, 10 + 40 * POSITIONS, atol=0.1)


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if "faint" not in pair])
def test_no_shape_vanishes_or_swells_on_the_way(first: str, second: str) -> None:
    steps = np.diff(areas(SHAPES[first], SHAPES[second]))
    if SHAPES[first].sum() > SHAPES[second].sum():
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


# --- mattes that move as the picture does ---------------------------------------------------------------


def translation(x: float, y: float, size: int = SIZE) -> Callable[[float], tuple[NDArray[np.float32], ...]]:
    """The first picture moves by x and y on its way to the second."""
    places = np.dstack(np.meshgrid(np.arange(size), np.arange(size))).astype(np.float32)
    displacement = np.array([x, y], np.float32)
    return lambda position: (
        places - np.float32(position) * displacement,
        places + np.float32(1 - position) * displacement,
    )


@pytest.mark.parametrize("softness", [1, 12])
def test_a_disc_goes_where_the_maps_say(softness: float) -> None:
    matte = Matte(disc(20, 30, 14, softness), disc(107, 90, 14, softness), translation(87, 60))
    for position in POSITIONS:
        between = matte.at(position)
        assert between.dtype == np.float32
        assert pieces(between) == 1
        expected = disc(20 + position * 87, 30 + position * 60, 14, softness) / 255
        assert np.abs(between - expected).mean() < 0.001


def test_of_two_shapes_each_goes_its_own_way_by_maps_alone() -> None:
    """The left one stays, the right one falls by 40 pixels: their common centre would tear both."""
    first = np.maximum(disc(30, 30, 14), disc(98, 30, 14))
    second = np.maximum(disc(30, 30, 14), disc(98, 70, 14))
    still, falling = translation(0, 0), translation(0, 40)

    def maps(position: float) -> tuple[NDArray[np.float32], ...]:
        return tuple(
            np.concatenate([left[:, :64], right[:, 64:]], axis=1)
            for left, right in zip(still(position), falling(position), strict=True)
        )

    expected = np.maximum(disc(30, 30, 14), disc(98, 50, 14)) / 255
    assert np.abs(Matte(first, second, maps).at(0.5) - expected).mean() < 0.001
    assert np.abs(Matte(first, second).at(0.5) - expected).mean() > 0.01


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_with_maps_the_ends_are_exact_too(first: str, second: str) -> None:
    matte = Matte(SHAPES[first], SHAPES[second], translation(13.3, -7.7))
    for position, end in ((0, SHAPES[first]), (1, SHAPES[second])):
        np.testing.assert_array_equal(np.rint(matte.at(position) * 65535), end.astype(int) * 257)
    between = matte.at(0.5)
    assert between.dtype == np.float32
    assert 0 <= between.min() <= between.max() <= 1


def test_maps_that_move_nothing_change_nothing_in_a_shape_that_stays() -> None:
    for name in ("star", "glass", "ring"):
        matte = Matte(SHAPES[name], SHAPES[name], translation(0, 0))
        np.testing.assert_allclose(matte.at(0.3), SHAPES[name] / 255, atol=1e-3)


def test_glass_moves_by_the_maps() -> None:
    moved = np.roll(GLASS, (12, -8), (0, 1))
    between = Matte(GLASS, moved, translation(-8, 12)).at(0.5)
    np.testing.assert_allclose(between, np.roll(GLASS, (6, -4), (0, 1)) / 255, atol=0.02)


@pytest.mark.parametrize("empty_first", [False, True])
def test_a_shape_that_vanishes_moves_as_its_own_picture_does(empty_first: bool) -> None:
    """The empty picture has no outline, so that of the other one is sampled where the other one is."""
    shape = disc(40, 64, 20)
    ends = (EMPTY, shape) if empty_first else (shape, EMPTY)
    matte = Matte(*ends, translation(-40 if empty_first else 40, 0))
    centre = cv2.moments(matte.at(0.5))
    assert centre["m10"] / centre["m00"] == pytest.approx(60, abs=0.5)
    assert centre["m01"] / centre["m00"] == pytest.approx(64, abs=0.5)


# --- colour without its ground --------------------------------------------------------------------------


def floats(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return levels.astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)


def laid(colour: NDArray[np.float32], matte: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Straight colour as 8 bits on black."""
    return np.rint(colour * (matte / np.float32(255))[..., None] * 255).astype(np.uint8)


RED = np.array([0.83, 0.21, 0.04], np.float32)


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "empty"])
def test_one_colour_is_that_colour_all_over(name: str) -> None:
    matte = SHAPES[name]
    everywhere = extended(floats(laid(np.broadcast_to(RED, (SIZE, SIZE, 3)), matte)), floats(matte))
    assert everywhere.dtype == np.float32
    # of what is faint 8 bits say less
    assert np.abs(everywhere - RED).max() < (2 if name in ("faint", "soft") else 1) / 255


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (33, 50), (64, 64)])
def test_any_size_is_extended_and_what_is_all_transparent_is_black(size: tuple[int, int]) -> None:
    nothing = np.zeros(size, np.float32)
    assert not extended(np.zeros((*size, 3), np.float32), nothing).any()
    pixel = nothing.copy()
    pixel[-1, -1] = 1
    np.testing.assert_allclose(extended(pixel[..., None] * RED, pixel), np.broadcast_to(RED, (*size, 3)), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(matte=MATTES, data=st.data())
def test_what_is_extended_is_a_colour_and_the_same_once_laid_on_black(
    matte: NDArray[np.uint8], data: st.DataObject
) -> None:
    straight = data.draw(hnp.arrays(np.uint8, (*matte.shape, 3)))
    premultiplied = laid(floats(straight), matte)
    colour = extended(floats(premultiplied), floats(matte))
    assert colour.min() >= 0
    assert colour.max() <= 1
    np.testing.assert_array_equal(on_black(np.rint(colour * 255).astype(np.uint8), floats(matte)), premultiplied)
    np.testing.assert_array_equal(np.rint(colour * 255)[matte == 255], straight[matte == 255])


def test_there_is_no_seam_and_no_detail_beyond_the_edge() -> None:
    matte = disc(64, 64, 30)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    colour = extended(floats(laid(np.dstack([rows, columns, rows]).astype(np.float32), matte)), floats(matte))
    steps = np.maximum(np.abs(np.diff(colour, axis=0)[:, 1:]), np.abs(np.diff(colour, axis=1)[1:])).max(axis=2)
    assert steps.max() < 5 / 255  # inside they are 2
    noise = np.random.default_rng(0).random((SIZE, SIZE, 3)).astype(np.float32)
    colour = extended(floats(laid(noise, matte)), floats(matte))
    far = disc(64, 64, 50) == 0
    assert colour[far].std(axis=0).max() < 0.1 * colour[matte == 255].std(axis=0).min()
    np.testing.assert_allclose(colour[far].mean(axis=0), 0.5, atol=0.05)


@pytest.mark.parametrize("alpha", ["disc", "star", "soft", "glass", "ring"])
@pytest.mark.parametrize("size", [(128, 128), (96, 64), (200, 256)])
def test_keyframes_come_back_from_extended_colour(tmp_path: Path, alpha: str, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    picture = Image.open(CAT).convert("RGB").resize((SIZE, SIZE))
    picture.putalpha(Image.fromarray(SHAPES[alpha]))
    picture.save(path)
    keyframe = load_keyframe(path, "", size)
    assert keyframe.alpha is not None
    colour = to_uint8(keyframe.extended().pixels)[0]
    matte = keyframe.alpha / np.float32(255)
    np.testing.assert_array_equal(on_black(colour, matte), to_uint8(keyframe.pixels)[0])
    rgba = cut_out(colour, matte)
    assert rgba.dtype == np.uint8
    np.testing.assert_array_equal(rgba[..., 3], keyframe.alpha)
    np.testing.assert_array_equal(to_rgb8(rgba), to_uint8(keyframe.pixels)[0])
    if size == (SIZE, SIZE):  # where it is nearly opaque the file's own colours come back
        opaque = keyframe.alpha > 250
        assert np.abs(rgba[opaque].astype(int) - np.asarray(picture)[opaque]).max() <= 1


def test_an_opaque_keyframe_is_not_touched() -> None:
    keyframe = load_keyframe(CAT, "", (64, 64))
    assert keyframe.extended() is keyframe


def test_16_bits_come_back_too(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    true = np.random.default_rng(3).integers(0, 65536, (64, 64, 4)).astype(np.uint16)
    cv2.imwrite(str(path), true)
    keyframe = load_keyframe(path, "", (64, 64))
    assert keyframe.alpha is not None
    colour = to_levels(keyframe.extended().pixels, 16)[0]
    assert colour.dtype == np.uint16
    expected = to_levels(keyframe.pixels, 16)[0].astype(int)
    assert np.abs(on_black(colour, keyframe.alpha / np.float32(255)) - expected).max() <= 1


def test_colour_is_kept_a_little_under_what_is_transparent() -> None:
    alpha = disc(64, 64, 30)
    rgba = cut_out(np.full((SIZE, SIZE, 3), (255, 128, 64), np.uint8), floats(alpha))
    near = (alpha == 0) & (disc(64, 64, 30 + BLEED / 2) > 0)
    assert (rgba[near] == (255, 128, 64, 0)).all()
    assert not rgba[disc(64, 64, 30 + 2 * BLEED) == 0].any()


def test_scaled_down_there_is_no_dark_line() -> None:
    alpha = disc(64, 64, 30)
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    half = cv2.resize(cut_out(white, floats(alpha)), (64, 64), interpolation=cv2.INTER_AREA)
    assert half[half[..., 3] > 0].min(axis=0)[:3].tolist() == [255, 255, 255]


def test_what_a_model_paints_outside_the_matte_is_not_seen() -> None:
    colour, nothing = np.full((32, 32, 3), 90, np.uint8), np.zeros((32, 32), np.float32)
    assert not cut_out(colour, nothing).any()
    assert not on_black(colour, nothing).any()
