"""What a model can do, laid over what was asked of it."""

from dataclasses import replace

import pytest

from pipelines.request.clip import clip_of
from pipelines.request.levels import plan_anchors
from pipelines.request.limits import within_limits
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed


def clip(preset, **values):
    return clip_of(["a.png", "b.png"], (), changed(load_preset(preset), values))


def noise(settings):
    return settings.anchors.noise_first, settings.anchors.noise_last


@pytest.mark.parametrize("preset", ["wang2023", "did", "did_no_shared_noise", "interpolate_denoise"])
def test_both_shares_are_scaled_and_that_is_told_in_one_line(preset):
    asked = clip(preset)
    limited, (notice,) = within_limits(asked, 0.2)
    everywhere = [limited.settings, *(keyframe.settings for keyframe in limited.keyframes)]
    assert {noise(settings) for settings in everywhere} == {(0.2, 0.1091)}
    assert noise(asked.settings) == (0.55, 0.3)
    for words in ("0.55 to 0.3 of the steps", "model embedded", "no more than 0.2", "0.2 to 0.1091", "limit_noise"):
        assert words in notice
    assert "\n" not in notice
    assert within_limits(limited, 0.2) == (limited, [])  # as a rerun finds it in the recipe


@pytest.mark.parametrize(
    ("asked", "most"),
    [(clip("wang2023"), 1.0), (clip("default"), 0.2), (clip("interpolate_only"), 0.2), (clip("wang2023"), 0.55)],
)
def test_what_is_within_limits_stays_and_nothing_is_said(asked, most):
    assert within_limits(asked, most) == (asked, [])


def test_who_insists_gets_it_all_and_is_told():
    asked = clip("wang2023", **{"anchors.limit_noise": False})
    limited, (notice,) = within_limits(asked, 0.2)
    assert limited == asked
    assert "paints no more than 0.2 back: expect smears" in notice


def test_a_keyframe_of_its_own_is_limited_by_itself():
    asked = clip("wang2023")
    own = changed(asked.settings, {"anchors.noise_first": 0.15, "anchors.noise_last": 0.1})
    asked = replace(asked, keyframes=(asked.keyframes[0], replace(asked.keyframes[1], settings=own)))
    limited, notices = within_limits(asked, 0.2)
    assert [noise(keyframe.settings) for keyframe in limited.keyframes] == [(0.2, 0.1091), (0.15, 0.1)]
    assert len(notices) == 1


def test_one_step_of_noise_is_left():
    limited, (notice,) = within_limits(clip("wang2023", steps=4), 0.2)
    assert noise(limited.settings) == (0.25, 0.25)
    assert "they get 0.25 to 0.25" in notice
    assert [level.steps for level in plan_anchors(limited.settings)] == [1, 1, 1, 1]
    assert within_limits(limited, 0.2) == (limited, [])
    limited, _ = within_limits(clip("wang2023", steps=3, **{"anchors.depth": 1}), 0.2)
    assert [level.steps for level in plan_anchors(limited.settings)] == [1]
    limited, _ = within_limits(clip("wang2023", steps=7), 0.2)
    assert noise(limited.settings) == (0.2, 0.1429)
    assert [level.steps for level in plan_anchors(limited.settings)] == [1, 1, 1, 1]
