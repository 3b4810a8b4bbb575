"""What a clip takes."""

from dataclasses import replace

import pytest

from morph.errors import SettingsError
from pipelines.request.clip import clip_of
from pipelines.request.costs import check_offload, costs, disk_bytes
from pipelines.request.edits.edit import Edit
from pipelines.request.settings import Settings, changed
from pipelines.request.sizes import Sizes


def test_a_large_clip_needs_more_room_on_disk_and_its_drafts_do_not():
    clip = pair(changed(Settings(), {"frames": 24, "steps": 16, "survey": 8}))
    small, large = (disk_bytes(clip, Sizes(frame, (256, 256))) for frame in ((256, 256), (1024, 1024)))
    finished = disk_bytes(pair(changed(clip.settings, {"survey": 0})), Sizes((1024, 1024), (256, 256)))
    assert 24 * 1024 * 1024 * 3 < large < 16 * small
    assert large < finished


def pair(settings):
    return clip_of(["a.png", "b.png"], (), settings)


def test_costs_count_every_stage():
    settings = changed(Settings(), {"frames": 10, "steps": 20, "inversion_iterations": 2})
    settings = changed(settings, {"lora.steps": 5, "lora.draws": 2})
    fits = {"fit LoRA": 60, "invert": 80}
    assert costs(pair(changed(settings, {"survey": 0}))) == fits | {"capture ends": 40, "render": 240}
    assert costs(pair(settings)) == fits | {"survey": 64, "capture ends": 40, "render": 200}
    assert costs(pair(changed(settings, {"pacing": "uniform"})))["render"] == 160


def test_an_inversion_costs_what_its_scheme_does():
    def cost(**values):
        chosen = changed(Settings(), {"frames": 10, "steps": 20, "lora.steps": 0, "pacing": "uniform", **values})
        return costs(pair(chosen))

    assert cost(inversion="uni-inv") == {"invert": 42, "capture ends": 40, "render": 160}
    assert cost(inversion="fireflow") == {"invert": 42, "capture ends": 42, "render": 168}
    assert cost(inversion="rf-inversion") == {"invert": 40, "capture ends": 40, "render": 160}
    assert cost() == {"invert": 120, "capture ends": 40, "render": 160}


JOINT = {"lora.joint": True, "lora.steps": 5, "pacing": "uniform", "frames": 10, "steps": 20}


def test_a_fit_to_both_ends_costs_each_way_its_own_and_there_and_back_one():
    settings = changed(Settings(), {**JOINT, "inversion_iterations": 1})
    assert costs(pair(settings)) == {"fit LoRA": 30, "invert": 40, "capture ends": 40, "render": 160}
    three = clip_of(["a.png", "b.png", "c.png"], (), settings)
    assert costs(three) == {"fit LoRA": 60, "invert": 80, "capture ends": 80, "render": 140}
    there_and_back = pair(changed(settings, {"repeat": "loop"}))
    assert costs(there_and_back) == {"fit LoRA": 30, "invert": 40, "capture ends": 40, "render": 160}
    assert costs(pair(changed(settings, {"lora.steps": 0}))).keys() == {"invert", "capture ends", "render"}


def test_what_impus_adds_is_counted():
    more = {"lora.adaptive": True, "lora.negative_steps": 2, "infill.steps": 4, "inversion_iterations": 1}
    settings = changed(Settings(), {**JOINT, **more, "infill.guidance": 1.5, "infill.guidance_halfway": 2})
    assert costs(pair(settings)) == {
        "find rank": 40 + 11 * 4 * 2,
        "fit LoRA": 2 * 3 * (5 + 2),
        "invert": 40,
        "capture ends": 2 * 4 * 2,
        "render": 8 * 4 * 2,
    }


def test_a_fit_to_both_ends_is_none_by_blocks():
    with pytest.raises(SettingsError, match=r"lora\.steps=0"):
        check_offload(pair(changed(Settings(), JOINT)), "blocks")
    check_offload(pair(changed(Settings(), {**JOINT, "lora.steps": 0})), "blocks")


def test_a_text_without_guidance_costs_half():
    settings = changed(Settings(), {"textual_inversion.steps": 10, "lora.steps": 0})
    assert costs(pair(settings))["textual inversion"] == 120
    assert costs(pair(changed(settings, {"textual_inversion.guidance": 1})))["textual inversion"] == 60


@pytest.mark.parametrize(
    ("how", "fitting", "plain"),
    [("asyrp", {}, {"rounds": 0}), ("prompt-to-prompt", {"null_text": True}, {}), ("diffusionclip", {}, None)],
)
def test_a_fit_for_an_edit_needs_the_whole_denoiser(how, fitting, plain):
    def clip(values):
        first, last = pair(changed(Settings(), {"lora.steps": 0})).keyframes
        edit = Edit.of({"how": how, "prompt": "a dog", "source": "a cat", **values})
        made = pair(changed(Settings(), {"lora.steps": 0}))
        return replace(made, keyframes=(first, replace(last, edits=(edit,))))

    with pytest.raises(SettingsError, match=f"edit {how} fits something"):
        check_offload(clip(fitting), "blocks")
    check_offload(clip(fitting), "components")
    if plain is not None:
        check_offload(clip(plain), "blocks")
