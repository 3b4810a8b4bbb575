"""The match of two pictures as a picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from morph.blending.warp import Warp
from pipelines.between.panels import GAP, SIDE, TITLE, match_picture, spread_places
from tests.conftest import SAMPLES


def cat(size):
    with Image.open(SAMPLES / "cat.jpg") as image:
        pixels = np.array(image.convert("RGB").resize(size))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def shifted(size, by, trust=None):
    """The field of two pictures, the second lying ``by`` (x, y) of ``morph.blending.warp``'s units further."""
    still = Warp.still(size)
    control = still.control + torch.tensor(by).view(2, 1, 1) / 2
    return Warp(control, still.extent, still.trust if trust is None else trust)


def panel(sheet, number, size):
    """A panel of a square arrangement."""
    row, column = divmod(number, 2)
    top, left = GAP + row * (size[1] + TITLE + GAP) + TITLE, GAP + column * (size[0] + GAP)
    return sheet[top : top + size[1], left : left + size[0]].astype(float)


@pytest.mark.parametrize(
    ("size", "shape"), [((96, 96), (1272, 1200)), ((160, 90), (758, 1200)), ((90, 160), (640, 1364))]
)
def test_panels_are_legible_at_their_size_whatever_the_pictures(size, shape):
    sheet = match_picture(cat(size), cat(size), Warp.still(size))
    assert (sheet.dtype, sheet.shape[2]) == (np.uint8, 3)
    assert sheet.shape[:2] == pytest.approx(shape, abs=4)


def test_halfway_is_both_pictures_brought_together_and_confidence_has_its_colours():
    size = (SIDE, SIDE)
    first = cat(size)
    trust = torch.zeros(32, 32)
    trust[:, 16:] = 1
    warp = shifted(size, (0.2, 0.0), trust)
    second = warp.warped(first, warp.places(1.0, size)[0])
    sheet = match_picture(first, second, warp)
    halfway, confidence = panel(sheet, 2, size), panel(sheet, 3, size)
    moved = round(0.1 * SIDE / 2)
    expected = (first[0].permute(1, 2, 0).numpy() + 1) * 127.5
    inner = slice(2 * moved, SIDE - 2 * moved)
    assert np.abs(halfway[:, inner] - expected[:, 2 * moved - moved : SIDE - 3 * moved]).mean() < 4
    dark, light = confidence[:, : SIDE // 2 - 20], confidence[:, SIDE // 2 + 20 :]
    assert dark.mean() < 40
    assert light[..., :2].mean() > 150
    assert light[..., 2].mean() < light[..., 0].mean()  # yellow


def test_the_same_numbers_lie_on_the_same_things():
    size = (SIDE, SIDE)
    grey = torch.zeros(1, 3, SIDE, SIDE)
    grey[..., ::40, :] = 0.2  # something to see everywhere, and without colour
    sheet = match_picture(grey, grey, shifted(size, (0.25, 0.125)))
    a, b = (panel(sheet, number, size) for number in (0, 1))
    coloured = [picture.max(-1) - picture.min(-1) > 100 for picture in (a, b)]
    assert coloured[0].sum() > 20 * 20
    across, down = round(0.25 * SIDE / 2), round(0.125 * SIDE / 2)
    moved = np.roll(coloured[0], (down, across), (0, 1))
    assert (moved & coloured[1]).sum() > 0.85 * coloured[1].sum()
    assert (coloured[0] & coloured[1]).sum() < 0.3 * coloured[1].sum()


def test_the_grid_is_drawn_as_it_lies_in_each_picture():
    size = (SIDE, SIDE)
    black = torch.full((1, 3, SIDE, SIDE), -1.0)
    sheet = match_picture(black, black, shifted(size, (0.25, 0.0), torch.zeros(32, 32)))
    columns = []
    for number in (0, 1):
        profile = panel(sheet, number, size)[3:30].mean((0, 2))
        columns.append(np.flatnonzero(profile > 60))
    assert len(columns[0]) >= 10
    by = 0.25 * SIDE / 2
    nearest = [np.abs(columns[1] - (column + by)).min() for column in columns[0] if column + by < SIDE - 2]
    assert max(nearest) <= 1.5


def test_marks_are_spread_over_what_is_trusted():
    size = (200, 120)
    noise = np.random.default_rng(1).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    trust = torch.zeros(20, 32)
    trust[:, :16] = 0.9
    places = spread_places(shifted(size, (0.1, 0.0), trust), noise)
    assert 8 <= len(places) <= 20
    assert places[:, 0].max() < 0.1
    gaps = torch.cdist(places, places) + 9 * torch.eye(len(places))
    assert gaps.min() > 0.2
    everywhere = spread_places(Warp.still(size), noise)
    assert len(everywhere) > len(places)
    for axis in (0, 1):
        assert everywhere[:, axis].max() - everywhere[:, axis].min() > 1.2 * Warp.still(size).extent[axis]
    assert len(spread_places(shifted(size, (0.0, 0.0), torch.zeros(20, 32)), noise)) == 0
    # a match that lies outside one of the pictures is not marked
    far = shifted(size, (1.0, 0.0))
    assert (spread_places(far, noise)[:, 0].abs() < far.extent[0] - 0.5).all()


@pytest.mark.parametrize(
    ("size", "shape"), [((3000, 2), (128, 1200)), ((2, 3000), (640, 920)), ((1, 1), (1272, 1200))]
)
def test_odd_shapes_are_drawn(size, shape):
    grey = torch.zeros(1, 3, size[1], size[0])
    assert match_picture(grey, grey, Warp.still(size)).shape[:2] == shape


def test_pictures_without_anything_on_them_are_drawn():
    size = (64, 64)
    flat = torch.zeros(1, 3, 64, 64)
    assert match_picture(flat, flat, Warp.still(size)).shape == (1272, 1200, 3)
