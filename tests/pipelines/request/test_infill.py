"""The settings of in-fill: by default DiffMorpher's, and how many steps they leave."""

from dataclasses import replace

import pytest
import torch

from morph.errors import SettingsError
from pipelines.request.clip import clip_of
from pipelines.request.infill import Infill
from pipelines.request.settings import Settings, changed
from pipelines.request.ways import frame_steps, infill_steps


def test_nothing_is_asked_for_by_default():
    infill = Infill()
    assert (infill.skip, infill.mix, infill.guidance, infill.guide) == (0, "slerp", 1, "")
    assert (infill.layers, infill.text, infill.own, infill.curve) == ("shared", False, 1, 1)


@pytest.mark.parametrize(("steps", "skip", "left"), [(50, 0, 50), (50, 0.4, 30), (250, 0.44, 140), (4, 1, 1)])
def test_a_step_is_left_at_least(steps, skip, left):
    assert infill_steps(changed(Settings(), {"steps": steps, "infill.skip": skip})) == left


@pytest.mark.parametrize(("steps", "infill", "left"), [(50, 0, 30), (50, 16, 16), (50, 30, 30), (50, 99, 30)])
def test_frames_take_no_more_steps_than_their_images_were_inverted_by(steps, infill, left):
    settings = changed(Settings(), {"steps": steps, "infill.skip": 0.4, "infill.steps": infill})
    assert (infill_steps(settings), frame_steps(settings)) == (30, left)


def test_guidance_rises_to_halfway_in_a_straight_line():
    infill = Infill(guidance=1.5, guidance_halfway=2)
    places = torch.tensor([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    assert infill.guidance_at(places).tolist() == pytest.approx([1.5, 1.8, 2.25, 3, 2.25, 1.5])
    assert torch.allclose(infill.guidance_at(places), 3 - 3 * (places - 0.5).abs())  # IMPUS's
    assert (infill.guided, infill.passes, infill.guidance_most) == (True, 2, 3)
    level = Infill(guidance=7.5)
    assert (level.guidance_at(places), level.guided, level.guidance_most) == (7.5, True, 7.5)
    assert (Infill().guidance_at(places), Infill().guided, Infill().passes) == (1, False, 1)
    assert Infill(guidance_halfway=2).guided


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("infill.curve", 0, r"infill\.curve is 0\.0; it must be from 0\.01 to 1000"),
        ("infill.layers", "up", r"infill\.layers is 'up'; it must be one of shared, all, late"),
        ("infill.mix", "lerp", r"infill\.mix is 'lerp'; it must be one of slerp, clipped, moved"),
        ("sharing", "inner", "sharing is 'inner'; it must be one of interpolated, outer, joint, both"),
        ("infill", "all", r"infill is a group of settings; set one of infill\.skip"),
    ],
)
def test_what_is_none_is_refused_in_a_line(key, value, message):
    with pytest.raises(SettingsError, match=message):
        changed(Settings(), {key: value})


@pytest.mark.parametrize("inversion", ["fireflow", "rf-inversion"])
def test_frames_that_are_moved_go_by_ddim(inversion):
    with pytest.raises(SettingsError, match=f"goes by DDIM and not by {inversion}"):
        changed(Settings(), {"infill.mix": "moved", "inversion": inversion})
    assert changed(Settings(), {"infill.mix": "moved", "inversion": "uni-inv"}).inversion == "uni-inv"


def test_codes_are_of_a_whole_clip_and_of_texts_that_are_not_fitted():
    with pytest.raises(SettingsError, match="textual inversion is told no codes"):
        changed(Settings(), {"infill.codes": True, "textual_inversion.steps": 3})
    clip = clip_of(["a.png", "b.png"], (), changed(Settings(), {"infill.codes": True}))
    with pytest.raises(SettingsError, match="of a whole clip"):
        replace(clip, keyframes=(clip.keyframes[0], replace(clip.keyframes[1], settings=Settings())))
