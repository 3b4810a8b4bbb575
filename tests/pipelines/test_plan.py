import pytest

from morph.diffusion.files import Geometry
from morph.errors import SettingsError
from pipelines.plan import costs, frame_size, pair_prompts
from pipelines.settings import Settings, changed

GEOMETRY = Geometry(factor=8, stride=32, native=256)


def test_prompts_are_none_one_for_all_or_one_each():
    assert pair_prompts([], 2) == ["", ""]
    assert pair_prompts(["a"], 2) == ["a", "a"]
    assert pair_prompts(["a", "b"], 2) == ["a", "b"]
    with pytest.raises(SettingsError, match="3 prompts for 2 images"):
        pair_prompts(["a", "b", "c"], 2)


def test_sizes_are_the_models_or_what_it_can_take():
    assert frame_size("native", GEOMETRY) == (256, 256)
    assert frame_size("128", GEOMETRY) == (128, 128)
    assert frame_size("320x192", GEOMETRY) == (320, 192)


@pytest.mark.parametrize(("size", "near"), [("250", "256x256"), ("300x200", "288x192"), ("32", "64x64")])
def test_a_size_that_does_not_suit_names_the_nearest(size, near):
    with pytest.raises(SettingsError, match=f"multiples of 32.*nearest is {near}"):
        frame_size(size, GEOMETRY)


def test_costs_count_every_stage():
    settings = changed(Settings(), {"frames": 10, "steps": 20, "inversion_iterations": 2})
    settings = changed(settings, {"lora.steps": 5, "lora.draws": 2})
    assert costs(settings) == {"fit LoRA": 60, "invert": 80, "capture ends": 40, "render": 240}
    assert costs(changed(settings, {"pacing": "uniform"}))["render"] == 160
