"""The settings of fits: what goes together."""

import pytest

from morph.errors import SettingsError
from pipelines.request.clip import clip_of
from pipelines.request.costs import costs
from pipelines.request.fitting import Lora, TextualInversion
from pipelines.request.settings import Settings, changed


def test_each_image_has_its_own_fits_by_default():
    lora, texts = Lora(), TextualInversion()
    assert (lora.joint, lora.adaptive, lora.negative_steps, lora.negative_rank) == (False, False, 0, 2)
    assert (texts.steps, texts.guidance, texts.times, texts.augment) == (0, 7.5, "middle", True)


@pytest.mark.parametrize(("key", "value"), [("adaptive", True), ("negative_steps", 15)])
def test_what_is_of_both_images_is_nothing_without_a_fit_to_both(key, value):
    plain = changed(Settings(), {"frames": 5})
    alone, both = (
        costs(clip_of(["a.png", "b.png"], (), changed(plain, {f"lora.{key}": value, "lora.joint": joint})))
        for joint in (False, True)
    )
    assert alone == costs(clip_of(["a.png", "b.png"], (), plain))
    assert both != costs(clip_of(["a.png", "b.png"], (), changed(plain, {"lora.joint": True})))


def test_bounds_hold():
    with pytest.raises(SettingsError, match=r"lora\.negative_rank is 0; it must be from 1 to 1024"):
        changed(Settings(), {"lora.negative_rank": 0})
