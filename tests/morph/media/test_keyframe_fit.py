"""Pictures brought to the size of the frames."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe, parse_size, to_uint8

NOISE = np.random.default_rng(7).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_picture_of_the_right_size_keeps_every_value(tmp_path: Path, fit: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    frame = load_keyframe(path, "a cat", (32, 24), fit)
    assert frame.pixels.shape == (1, 3, 24, 32)
    assert frame.pixels.dtype == torch.float32
    assert frame.pixels.abs().max() <= 1
    np.testing.assert_array_equal(to_uint8(frame.pixels)[0], NOISE)
    assert (frame.prompt, frame.source, frame.notices) == ("a cat", path, ())


@pytest.mark.parametrize(("width", "height"), [(400, 100), (100, 400), (1, 3000), (3000, 1), (100, 100)])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_any_proportions_come_out_at_the_exact_size(tmp_path: Path, width: int, height: int, fit: str) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (width, height), (90, 90, 90)).save(path)
    pixels = to_uint8(load_keyframe(path, "", (64, 48), fit).pixels)[0]
    assert pixels.shape == (48, 64, 3)
    share = np.mean(pixels[..., 0] == 90)
    inner = min(64 / width, 48 / height)
    expected = max(1, round(width * inner)) * max(1, round(height * inner)) / (64 * 48)
    assert share == (1 if fit == "crop" else pytest.approx(expected))


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_disc_stays_round_and_central(tmp_path: Path, fit: str) -> None:
    y, x = np.mgrid[:200, :300]
    disc = (((x - 149.5) ** 2 + (y - 99.5) ** 2 < 60**2) * 255).astype(np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(disc).save(path)
    pixels = to_uint8(load_keyframe(path, "", (64, 64), fit).pixels)[0, :, :, 0]
    across, down = (pixels > 127).any(0), (pixels > 127).any(1)
    assert abs(int(across.sum()) - int(down.sum())) <= 1
    for side in (across, down):  # bars of an odd height in an even frame differ by one
        first, last = np.flatnonzero(side)[[0, -1]]
        assert abs(first + last - 63) <= (fit == "pad")


def test_much_enlarging_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    assert load_keyframe(path, "", (64, 48)).notices == ()
    assert "enlarged 4.0 times" in load_keyframe(path, "", (128, 96)).notices[0]


@pytest.mark.parametrize(
    ("text", "size"), [("256", (256, 256)), ("320x192", (320, 192)), ("320X192", (320, 192)), (" 8 ", (8, 8))]
)
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0x5", "-4", "4x", "x4", "1.5", "99999", "9" * 5000, "٣", "4x4x4"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="320x192"):
        parse_size(text)
