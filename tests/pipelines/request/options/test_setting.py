"""What settings know of themselves, and what is derived from it: the command's list, bounds, what is kept."""

import json
from fractions import Fraction

import pytest

from morph.errors import SettingsError
from pipelines import MorphPipeline
from pipelines.request.clip import clip_of, keyframe_settings
from pipelines.request.options.setting import LOOK
from pipelines.request.options.values import keys
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed, deciding, every_setting, look, naming
from tests.pipelines.conftest import CAT, RACCOON

UNUSED = ("between", "align.on", "align.landmarks")
"""Settings that make other clips of the test's, or that need a package which may not be there."""


def other(one):
    """A value that a setting may have, and does not have by default."""
    if one.choices:
        return next(choice for choice in one.choices if choice != one.default)
    if one.kind is bool:
        return not one.default
    if one.kind is str:
        return {"inbetween.frames": "1", "encode.preset": "h264", "duration": "2s"}.get(one.key, "another")
    if one.key == "depth":
        return 16
    step = 1 if one.kind in (int, Fraction) else 0.01
    return one.default - step if one.default == one.about.high else one.default + step


def test_every_setting_says_what_it_means_and_every_number_its_bounds():
    assert keys(Settings()).keys() == every_setting().keys()
    for one in every_setting().values():
        assert one.about.help.endswith(".")
        assert (one.about.low is None) == (one.kind not in (int, float, Fraction) or one.key in ("seed", "depth"))
        if one.about.low is not None:
            assert one.about.low <= one.default <= one.about.high
            for wrong in (one.about.high + 1, "nan" if one.kind is float else one.about.high + 1):
                with pytest.raises(SettingsError, match=one.key):
                    changed(Settings(), {one.key: wrong})
        assert keys(changed(Settings(), {one.key: other(one)}))[one.key] != keys(Settings())[one.key]


def test_what_decides_a_frame_is_known_by_scope():
    looks, base = look(Settings()), Settings()
    for key, one in every_setting().items():
        differs = look(changed(base, {key: other(one)})) != looks
        assert differs == (one.about.scope in LOOK)
    parts = [deciding(base, scope) for scope in LOOK]
    assert sum(map(len, parts)) == len(looks)


def test_a_keyframe_may_have_those_of_its_own_alone():
    for key, one in every_setting().items():
        if one.about.own:
            assert keys(keyframe_settings(Settings(), {key: other(one)}))[key] == other(one)
        else:
            with pytest.raises(SettingsError, match=f"{key} is not a keyframe's"):
                keyframe_settings(Settings(), {key: other(one)})


def test_settings_that_name_something_are_texts():
    for key in naming("file", "weights", "codec", "output", "size"):
        assert every_setting()[key].kind is str
    assert naming("file") == ("align.points", "inbetween.weights", "encode.audio")


def test_the_command_lists_them_with_a_presets_values(command):
    listed = json.loads(command("settings", "--json").stdout)
    assert listed.keys() == every_setting().keys()
    assert {key: one["value"] for key, one in listed.items()} == keys(load_preset("default"))
    text = command("settings", "align", "--preset", "diffmorpher").stdout
    assert "align.on = false" in text
    assert "align.skip = 0.75   0 to 1   per image" in text
    assert "lora" not in text
    result = command("settings", "align.skipp")
    assert (result.returncode, result.stdout) == (2, "")
    assert "did you mean align.skip?" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("align", [False, True])
def test_no_frame_is_kept_that_another_setting_would_change(folder, tmp_path, align):
    values = {
        "frames": 3,
        "size": "64",
        "steps": 4,
        "survey": 0,
        "pacing": "uniform",
        "noise": 0.1,
        "lora.steps": 0,
    }
    values |= {"align.on": align, "align.features": "alexnet", "align.landmarks": "off"}
    base = changed(Settings(), values)
    pipeline = MorphPipeline.from_pretrained(str(folder), device="cpu")

    def spent(settings):
        stages = []
        list(
            pipeline.render(
                clip_of([CAT, RACCOON], [], settings), tmp_path / "job", lambda *one: stages.append(one)
            )
        )
        return {stage for stage, *_ in stages}

    assert spent(base)
    assert not spent(base)
    for key, one in every_setting().items():
        group, _, _ = key.rpartition(".")
        if one.about.scope != "frame" or one.about.names or group != ("align" if align else "") or key in UNUSED:
            continue
        value = other(one) if keys(base)[key] != other(one) else one.default
        assert "render" in spent(changed(base, {key: value})), key
    assert not spent(base)


def test_frames_are_kept_however_others_are_interpolated_between_them(folder, tmp_path):
    values = {"frames": 5, "size": "64", "steps": 4, "survey": 0, "pacing": "uniform", "lora.steps": 0}
    pipeline = MorphPipeline.from_pretrained(str(folder), device="cpu")

    def spent(**inbetween):
        stages, settings = [], changed(Settings(), {**values, "inbetween": {"threshold": 9, **inbetween}})
        clip = clip_of([CAT, RACCOON], [], settings)
        list(pipeline.render(clip, tmp_path / "job", lambda stage, *_: stages.append(stage)))
        return stages

    assert spent()
    assert not spent()
    assert spent(frames="1")  # fewer are painted together, and to the last bit that shows
    assert not spent(frames="1", method="blend")
