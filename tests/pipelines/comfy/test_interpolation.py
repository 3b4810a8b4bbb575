"""Another number of frames."""

from fractions import Fraction

import pytest
import torch

from morph.errors import KeyframeError, SettingsError
from pipelines.comfy.interpolation import Interpolation, interpolate
from pipelines.tasks.progress import quiet
from tests.pipelines.comfy.conftest import gradient

FILM = torch.cat([gradient(shift=2 * step) for step in range(4)])
"""A spot that moves by two pixels a frame."""


def test_twice_the_rate_keeps_every_frame_and_puts_one_between():
    told = []
    how = Interpolation(Fraction(24), to_fps=Fraction(48))
    made, rate = interpolate(FILM, how, lambda *entry: told.append(entry[:3]))
    assert (len(made), rate) == (8, 48)
    assert torch.equal(made[:7:2], FILM)
    halfway = gradient(shift=1)[0]
    assert (made[1] - halfway).abs().mean() < 0.5 * (FILM[0] - halfway).abs().mean()
    assert told == [("frames", number, 8) for number in range(1, 9)]


@pytest.mark.parametrize("frames", [2, 3, 7, 10])
def test_a_number_of_frames_keeps_the_first_and_the_last(frames):
    made, rate = interpolate(FILM, Interpolation(Fraction(24), frames, method="blend"), quiet)
    assert len(made) == frames
    assert rate == Fraction(24 * (frames - 1), 3)
    assert torch.equal(made[[0, -1]], FILM[[0, -1]])


def test_nothing_is_invented_across_a_cut():
    cut = torch.cat([FILM[:2], 1 - FILM[:2].flip(1, 2)])
    made, _ = interpolate(cut, Interpolation(Fraction(24), 7, threshold=0.1), quiet)
    assert any(torch.equal(made[3], frame) for frame in cut[1:3])


def test_frames_of_the_source_keep_more_than_8_bits():
    fine = FILM * 0.999 + 0.0001
    made, _ = interpolate(fine, Interpolation(Fraction(24), 7, method="blend"), quiet)
    assert torch.equal(made[::2], fine)


@pytest.mark.parametrize(
    ("images", "how", "error", "message"),
    [
        (FILM[:1], Interpolation(Fraction(24)), KeyframeError, "is one picture"),
        (torch.ones(2, 4, 4, 4), Interpolation(Fraction(24)), KeyframeError, "has transparency"),
        (FILM, Interpolation(Fraction(24), 1), SettingsError, "frames is 1"),
        (FILM, Interpolation(Fraction(1, 1000), to_fps=Fraction(60)), SettingsError, "at most 100000"),
        (FILM, Interpolation(Fraction(24), weights="a.safetensors"), SettingsError, "weights are RIFE's"),
    ],
)
def test_what_cannot_be_interpolated_is_refused(images, how, error, message):
    with pytest.raises(error, match=message):
        interpolate(images, how, quiet)


def test_it_stops_when_it_is_told_to():
    def stop(stage, step, of, preview):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interpolate(FILM, Interpolation(Fraction(24), 7, method="blend"), stop)
