"""Clips from their first frame to their last: keyframes, times, holds and what is repeated."""

import numpy as np
import pytest

from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe
from pipelines.request.clip import keyframe_settings
from pipelines.request.costs import costs
from pipelines.request.settings import changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, clip
from tests.pipelines.tasks.conftest import FOUR, PAIR, QUICK, pixels_of


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in PAIR]


@pytest.mark.parametrize("pacing", ["even", "uniform"])
@pytest.mark.parametrize("count", [2, 3, 7, 16])
def test_any_number_of_frames_between_the_inputs_bit_for_bit(morph, count, pacing):
    frames = morph(PAIR, changed(QUICK, {"frames": count, "pacing": pacing}))
    assert [frame.index for frame in frames] == list(range(count))
    alphas = [frame.alpha for frame in frames]
    assert alphas == sorted(set(alphas))
    assert np.array_equal(frames[0].pixels, pixels_of(PAIR[0]))
    assert np.array_equal(frames[-1].pixels, pixels_of(PAIR[1]))
    if pacing == "uniform":
        assert alphas == pytest.approx(np.linspace(0, 1, count))


def test_identical_keyframes_give_a_clip_that_stands_still(morph):
    frames = morph(("cat.jpg", "cat.jpg"), changed(QUICK, {"fade": 1}))
    assert len(frames) == 7
    assert np.isfinite([frame.distance for frame in frames]).all()
    for frame in frames:
        assert np.sqrt(((frame.pixels.astype(float) - pixels_of("cat.jpg")) ** 2).mean()) < 1


SCHEMES = {
    "diffmorpher": {},
    "textual inversion": {"textual_inversion.steps": 2},
    "uni-inv": {"inversion": "uni-inv", "anchors.depth": 1, "frames": 6},
    "fireflow": {"inversion": "fireflow", "anchors.depth": 1, "frames": 6},
    "fireflow, drafts": {"inversion": "fireflow", "survey": 2, "steps": 4},
    "rf-inversion": {"inversion": "rf-inversion", "anchors.depth": 1, "frames": 6},
    "branch": {"anchors.depth": 2, "frames": 5, "anchors.candidates": 3, "anchors.candidates_least": 1},
    "cascade": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "cascade", "anchors.guidance": 1},
    "fireflow cascade": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "cascade", "inversion": "fireflow"},
    "flat": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "flat"},
    "latent": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "latent"},
    "latent anywhere": {"anchors.depth": 2, "frames": 6, "anchors.scheme": "latent"},
    "more anchors than frames": {"anchors.depth": 3, "frames": 6, "anchors.scheme": "flat"},
    "together": {"anchors.depth": 1, "frames": 7, "anchors.scheme": "together", "anchors.noise_last": 0.5},
    "together, and more": {"anchors.depth": 1, "frames": 8, "anchors.scheme": "together", "anchors.guidance": 1},
    "guided": {"infill.guidance": 2, "survey": 2},
    "from less noise": {"infill.skip": 0.5, "survey": 1},
    "moved": {"infill.mix": "moved", "infill.skip": 0.5, "infill.guidance": 2, "survey": 1},
    "there and back": {"repeat": "loop", "frames": 6},
    "both ends": {"lora.joint": True, "lora.draws": 2, "repeat": "loop", "frames": 6},
    "both ends, anchors": {"lora.joint": True, "anchors.depth": 1, "frames": 6, "anchors.candidates": 1},
    "impus": {
        "lora.joint": True,
        "lora.adaptive": True,
        "lora.negative_steps": 2,
        "infill.steps": 3,
        "survey": 2,
        "infill.guidance": 1.5,
        "infill.guidance_halfway": 2,
        "textual_inversion.steps": 2,
        "textual_inversion.guidance": 1,
        "inversion_iterations": 1,
    },
    "both ends, in register": {"lora.joint": True, "align.on": True, "align.features": "alexnet", "frames": 4},
    "both ends, moved": {
        "lora.joint": True,
        "lora.negative_steps": 2,
        "infill.mix": "moved",
        "infill.skip": 0.5,
        "survey": 1,
        "infill.guidance": 2,
        "infill.guidance_halfway": 2,
    },
    "union": {"anchors.depth": 1, "frames": 9, "anchors.candidates": 2, "anchors.candidates_least": 2},
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_forward_is_counted(morph, scheme):
    spent = Spent()
    settings = changed(QUICK, {"pacing": "uniform", **SCHEMES[scheme]})
    frames = morph(PAIR, settings, spent, choose=lambda *candidates: 0)
    assert len(frames) == settings.frames
    planned = costs(clip(PAIR, settings))
    if scheme == "more anchors than frames":  # knots that no frame stands next to are not captured
        assert spent.pop("capture ends") < planned.pop("capture ends")
    assert spent == planned


def test_even_pacing_may_use_more_anchors_than_frames(morph):
    settings = changed(QUICK, {"anchors.depth": 3, "anchors.scheme": "flat", "frames": 5})
    assert costs(clip(PAIR, settings))["render"] > 0
    assert len(morph(PAIR, settings)) == 5


@pytest.mark.parametrize("pacing", ["even", "uniform"])
@pytest.mark.parametrize("count", [4, 5, 11])
def test_every_keyframe_of_a_sequence_is_among_its_frames_once(morph, count, pacing):
    frames = morph(FOUR, changed(QUICK, {"frames": count, "pacing": pacing}))
    alphas = [frame.alpha for frame in frames]
    assert len(frames) == count
    assert alphas == sorted(set(alphas))
    for number, name in enumerate(FOUR):
        (frame,) = [frame for frame in frames if frame.alpha == pytest.approx(number / 3)]
        assert np.array_equal(frame.pixels, pixels_of(name))
    assert frames[0].distance == 0 < min(frame.distance for frame in frames[1:])


def test_the_first_stretch_of_a_sequence_does_not_depend_on_the_next(morph):
    uniform = {"pacing": "uniform"}
    alone = morph(PAIR, changed(QUICK, {"frames": 5, **uniform}))
    longer = morph(FOUR[:3], changed(QUICK, {"frames": 9, **uniform}))
    for one, other in zip(alone, longer[:5], strict=True):
        assert np.sqrt(((one.pixels.astype(float) - other.pixels) ** 2).mean()) < 1


def test_times_decide_where_keyframes_are_shown(morph):
    settings = changed(QUICK, {"fps": "8"})
    frames = morph(FOUR[:3], settings, times=("0", "4f", "2s"))
    assert len(frames) == 17
    for at, name in zip((0, 4, 16), FOUR, strict=False):
        assert np.array_equal(frames[at].pixels, pixels_of(name))


def test_the_first_keyframe_is_shown_until_its_time(morph):
    frames = morph(PAIR, changed(QUICK, {"fps": "8"}), times=("3f", "1s"))
    assert len(frames) == 9
    assert [frame.index for frame in frames if frame.distance == 0] == [0, 1, 2, 3]
    assert np.array_equal(frames[3].pixels, pixels_of(PAIR[0]))


def test_held_keyframes_stand_still_and_count(morph):
    frames = morph(FOUR[:3], changed(QUICK, {"frames": 13, "hold": 2, "pacing": "uniform"}))
    assert len(frames) == 13
    still = [frame.index for frame in frames if frame.distance == 0]
    assert still == [0, 1, 2, 6, 7, 11, 12]
    assert np.array_equal(frames[2].pixels, frames[0].pixels)
    assert np.array_equal(frames[12].pixels, pixels_of(FOUR[2]))


def test_a_loop_comes_back_and_does_not_show_its_first_frame_twice(morph):
    frames = morph(PAIR, changed(QUICK, {"frames": 8, "repeat": "loop", "pacing": "uniform"}))
    assert len(frames) == 8
    assert np.array_equal(frames[4].pixels, pixels_of(PAIR[1]))
    assert [frame.alpha for frame in frames] == pytest.approx(np.arange(8) / 8)
    assert not np.array_equal(frames[7].pixels, frames[0].pixels)


def test_a_ping_pong_goes_back_the_way_it_came(morph):
    frames = morph(PAIR, changed(QUICK, {"frames": 5, "repeat": "ping-pong"}))
    assert [frame.alpha for frame in frames[5:]] == [frame.alpha for frame in frames[3:0:-1]]
    for there, back in ((3, 5), (2, 6), (1, 7)):
        assert np.array_equal(frames[there].pixels, frames[back].pixels)
    assert frames[5].distance == frames[4].distance


def test_what_only_a_clip_can_have_is_no_keyframes_to_set():
    with pytest.raises(SettingsError, match="fps is not a keyframe's"):
        keyframe_settings(QUICK, {"fps": "30"})


@pytest.mark.parametrize(
    ("values", "times", "message"),
    [
        ({"frames": 2}, (), "3 images need at least 3 frames"),
        ({"frames": 8, "hold": 2}, (), "at least 9 frames to be held"),
        ({"frames": 1, "hold": 3, "repeat": "loop"}, (), "at least 12 frames to be held"),
        ({}, ("0", "1"), "2 times for 3 images"),
        ({}, ("0", "2s", "2s"), "keyframe 3 is at frame 48, too early"),
        ({}, ("0", "1s", "soon"), "write 2.5 or 2.5s"),
    ],
)
def test_a_clip_that_no_timing_fits_is_refused(values, times, message):
    with pytest.raises(SettingsError, match=message):
        clip(FOUR[:3], changed(QUICK, values), times=times)


def test_two_frames_that_are_held_are_both_shown(morph):
    with pytest.raises(SettingsError, match="at least 4 frames to be held"):
        clip(PAIR, changed(QUICK, {"frames": 3, "hold": 1}))
    frames = morph(PAIR, changed(QUICK, {"frames": 4, "hold": 1}))
    assert [frame.alpha for frame in frames] == [0, 0, 1, 1]
    back = morph(PAIR, changed(QUICK, {"frames": 4, "hold": 1, "repeat": "ping-pong"}))
    assert [frame.alpha for frame in back] == [0, 0, 1, 1, 1, 0]


def test_the_same_way_twice_is_two_ways(morph):
    frames = morph(("cat.jpg", "raccoon.jpg", "cat.jpg", "raccoon.jpg"), QUICK, times=("0", "4f", "5f", "11f"))
    assert len(frames) == 12
    assert np.array_equal(frames[11].pixels, frames[4].pixels)
