import numpy as np
import pytest

from morph.media.frame import checked_frame, checked_rgb, coloured, to_rgb8

RGBA = np.random.default_rng(5).integers(0, 65536, (6, 5, 4), dtype=np.uint16)
KINDS = [RGBA, RGBA[..., :3], RGBA.astype(np.uint8), RGBA[..., :3].astype(np.uint8)]
NO_FRAMES = [
    RGBA.astype(np.float32),
    RGBA.astype(">u2"),
    RGBA.astype(np.int16),
    RGBA[..., 0],
    RGBA[..., :2],
    RGBA[:0],
    RGBA[None],
    np.concatenate([RGBA, RGBA], axis=2),
]


@pytest.mark.parametrize("frame", KINDS)
def test_frames_pass_unchanged_and_contiguous(frame: np.ndarray) -> None:
    for given in (frame, frame[::-1, ::2]):
        taken = checked_frame(given, (given.shape[1], given.shape[0]))
        assert taken.flags.c_contiguous
        assert taken.dtype == frame.dtype
        np.testing.assert_array_equal(taken, given)
    with pytest.raises(ValueError, match="opened for 5x5"):
        checked_frame(frame, (5, 5))


@pytest.mark.parametrize("array", NO_FRAMES)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    for check in (checked_frame, checked_rgb, to_rgb8):
        with pytest.raises(ValueError, match="a frame is uint8"):
            check(array)


def test_where_8_bit_rgb_is_needed_other_frames_are_refused() -> None:
    for frame in KINDS[:3]:
        with pytest.raises(ValueError, match=r"a frame is uint8 \(H,W,3\) here, this is uint"):
            checked_rgb(frame)
    np.testing.assert_array_equal(checked_rgb(KINDS[3]), KINDS[3])


def test_frames_become_8_bit_rgb() -> None:
    eight = KINDS[3]
    np.testing.assert_array_equal(to_rgb8(eight), eight)
    np.testing.assert_array_equal(to_rgb8(eight.astype(np.uint16) * 257), eight)
    for white in (255, 65535):
        frame = np.full((1, 3, 4), white, np.uint8 if white == 255 else np.uint16)
        frame[0, :, 3] = 0, white // 5, white
        assert to_rgb8(frame)[0, :, 0].tolist() == [0, 51, 255]


def test_grey_becomes_colour() -> None:
    grey = RGBA[..., 0]
    for given in (grey, grey[..., None]):
        np.testing.assert_array_equal(coloured(given), np.dstack([grey, grey, grey]))
    np.testing.assert_array_equal(coloured(RGBA[..., :2]), np.dstack([grey, grey, grey, RGBA[..., 1]]))
    np.testing.assert_array_equal(coloured(RGBA), RGBA)
