import numpy as np

from morph.media.frame import to_rgb8
from morph.media.light import from_linear, to_linear


def greys(dtype: type[np.unsignedinteger]) -> np.ndarray:
    """Every level there is, as one row."""
    return np.repeat(np.arange(np.iinfo(dtype).max + 1).astype(dtype)[None, :, None], 3, axis=2)


def test_the_curve_is_that_of_srgb() -> None:
    light = to_linear(greys(np.uint8))[0, :, 0].astype(float)
    for code, value in [(0, 0), (1, 1 / 255 / 12.92), (10, 10 / 255 / 12.92), (11, 0.003346536), (255, 1)]:
        assert abs(light[code] - value) <= value / 2048
    assert abs(light[188] - 0.502886) < 0.0005


def test_every_8_bit_level_comes_back() -> None:
    np.testing.assert_array_equal(to_rgb8(from_linear(to_linear(greys(np.uint8)))), greys(np.uint8))


def test_16_bit_levels_come_back_within_half_precision() -> None:
    levels = greys(np.uint16)
    error = np.abs(from_linear(to_linear(levels)).astype(int) - levels)
    # a half is right to one part in 2048, and the curve's steepest relative slope is that of its straight part
    assert (error <= levels / 2048 + 1).all()


def test_alpha_multiplies_the_light_and_is_divided_out_again() -> None:
    colour, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    frame = np.dstack([colour, colour[:, ::-1], colour, alpha])
    light = to_linear(frame)
    np.testing.assert_allclose(light[..., 3], alpha / 255, rtol=1 / 2048)
    opaque = to_linear(frame[..., :3]).astype(float)
    np.testing.assert_allclose(light[..., :3], opaque * (alpha / 255)[..., None], rtol=1 / 1000, atol=1e-7)
    back = np.rint(from_linear(light) / 257)
    np.testing.assert_array_equal(back[..., 3], alpha)
    np.testing.assert_array_equal(back[0], 0)  # nothing is left of a colour that cannot be seen
    np.testing.assert_array_equal(back[1:], frame[1:])


def test_what_cannot_be_shown_is_clipped() -> None:
    light = np.array([[[-1, 0, np.nan], [2, np.inf, 1]]], np.float16)
    assert from_linear(light).tolist() == [[[0, 0, 0], [65535, 65535, 65535]]]
    odd = np.array([[[np.inf, 1, -1, np.inf], [np.nan, 1, 1, -1], [1, 2, 0, np.nan]]], np.float16)
    assert from_linear(odd).tolist() == [[[0, 0, 0, 65535], [0, 0, 0, 0], [0, 0, 0, 0]]]
