"""A match as a picture and masks."""

import pytest
import torch

from morph.errors import InputError, KeyframeError
from pipelines.comfy.match import match
from tests.pipelines.comfy.conftest import gradient


def test_a_match_is_drawn_and_its_confidence_lies_on_both(caplog):
    preview, confidence = match(gradient(96, 128), gradient(96, 128, 8), "", "", "alexnet", False)
    assert (preview.ndim, preview.shape[0], preview.shape[3], preview.dtype) == (4, 1, 3, torch.float32)
    assert confidence.shape == (2, 96, 128)
    assert 0 <= float(confidence.min()) <= float(confidence.max()) <= 1
    assert "compared by alexnet" in caplog.text


def test_points_are_obeyed_and_pictures_of_other_sizes_fitted():
    pictures = (gradient(96, 128), gradient(48, 64))
    preview, confidence = match(*pictures, "", "64", "alexnet", False)
    led, _ = match(*pictures, "30 30 30 40\n60,60,30,20", "64", "alexnet", False)
    assert confidence.shape == (2, 64, 64)
    assert not torch.equal(preview, led)


def test_it_stops_when_it_is_told_to():
    ticks = []

    def stop():
        ticks.append(1)
        if len(ticks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match(gradient(), gradient(shift=8), "", "", "alexnet", False, stop)
    assert len(ticks) == 3


def test_what_cannot_be_used_is_one_line():
    one = gradient()
    with pytest.raises(KeyframeError, match=r"^B is a batch of 2 pictures; connect one$"):
        match(one, torch.cat([one, one]), "", "", "alexnet", False)
    with pytest.raises(InputError, match=r"^points, line 1: \(70, 1\) is outside A"):
        match(one, one, "70 1 1 1", "", "alexnet", False)
    with pytest.raises(InputError, match=r"^points, line 1: 'x' is not four numbers"):
        match(one, one, "x", "", "alexnet", False)
