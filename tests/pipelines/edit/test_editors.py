"""From what an editor paints to a picture of full size."""

import pytest
import torch

from morph.errors import MorphError
from pipelines.edit.editors import edited
from pipelines.job.keyframe import sized
from tests.conftest import SAMPLES


@pytest.fixture
def pixels(model):
    return sized(SAMPLES / "cat.jpg", model.geometry, "96", "64")[0].pixels


def test_none_of_it_is_the_picture_and_steps_are_told(canvas, model, pixels):
    one, told = canvas(model, how="sdedit", steps=4, guidance=1), []
    first, half, whole = edited(one, pixels, None, [0, 0.5, 1], told.append)
    assert torch.equal(first, pixels)
    assert half.shape == whole.shape == pixels.shape
    assert len(told) == 2 + 2  # of 4 steps, for a half and for a whole one of strength .5
    assert whole.abs().max() <= 1


def test_outside_the_mask_nothing_changes(canvas, model, pixels):
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., :40] = 1
    one = canvas(model, how="sdedit", steps=4, guidance=1)
    (whole,) = edited(one, pixels, mask, [1], lambda step: None)
    assert torch.equal(whole[..., 40:], pixels[..., 40:])
    assert not torch.equal(whole[..., :40], pixels[..., :40])


def test_the_pictures_own_detail_stays_where_nothing_changed(canvas, embedded):
    pixels = sized(SAMPLES / "cat.jpg", embedded.geometry, "192", "64")[0].pixels
    one = canvas(embedded, how="variation", fresh=0.0, steps=10)
    (same,) = edited(one, pixels, None, [1], lambda step: None)
    assert 10 * torch.log10(4 / (same - pixels).square().mean()) > 40  # at 64 px alone it is 27


def test_what_overflows_is_no_picture(canvas, model, pixels, monkeypatch):
    one = canvas(model, how="sdedit", steps=4, guidance=1)
    monkeypatch.setattr(model.autoencoder, "decode", lambda latents: torch.full((1, 3, 64, 64), torch.nan))
    with pytest.raises(MorphError, match="edit sdedit overflowed"):
        next(edited(one, pixels, None, [1], lambda step: None))
