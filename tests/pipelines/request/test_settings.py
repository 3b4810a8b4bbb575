from fractions import Fraction

import pytest

from morph.errors import SettingsError
from pipelines.request.options.values import keys
from pipelines.request.settings import Settings, changed


def test_strings_are_parsed_as_the_settings_kind():
    settings = changed(
        Settings(),
        {"fps": "24000/1001", "lora.steps": "7", "adain": "false", "attention": "0.25", "fit": "pad"},
    )
    assert settings.fps == Fraction(24000, 1001)
    assert (settings.lora.steps, settings.adain, settings.attention, settings.fit) == (7, False, 0.25, "pad")


def test_flat_keys_lead_back_to_the_same_settings():
    settings = changed(Settings(), {"lora.rank": 4, "fps": Fraction(30000, 1001), "seed": 3})
    assert changed(Settings(), keys(settings)) == settings


def test_values_that_go_together_may_come_in_any_order():
    eight = changed(Settings(), {"inbetween.frames": "2"})
    for order in (("depth", "inbetween.frames"), ("inbetween.frames", "depth")):
        values = {"depth": 16, "inbetween.frames": "0"}
        deep = changed(eight, {key: values[key] for key in order})
        assert (deep.depth, deep.inbetween.frames) == (16, "0")
        with pytest.raises(SettingsError, match="depth is 16, but"):
            changed(deep, {"inbetween": {"frames": "2"}})


@pytest.mark.parametrize(
    ("key", "near"),
    [("step", "steps"), ("lora.step", "lora.steps"), ("attentoin", "attention"), ("lora_rank", "lora.rank")],
)
def test_an_unknown_key_names_the_nearest(key, near):
    with pytest.raises(SettingsError, match=f"no setting {key}; did you mean {near}"):
        changed(Settings(), {key: 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0),
        ("steps", "ten"),
        ("steps", 2.5),
        ("steps", True),
        ("attention", 1.5),
        ("attention", "nan"),
        ("lora", 3),
        ("lora.rank", 0),
        ("fps", "0"),
        ("fps", "inf"),
        ("fit", "squash"),
        ("adain", "perhaps"),
        ("frames", -1),
        ("frames.more", 1),
    ],
)
def test_a_value_of_the_wrong_kind_or_range_is_an_error_that_names_its_key(key, value):
    with pytest.raises(SettingsError, match="fps" if key == "fps" else key.split(".")[0]):
        changed(Settings(), {key: value})
