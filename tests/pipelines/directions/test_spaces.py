import pytest
import torch

from morph.directions.glo import Glo
from morph.directions.h import HSpace
from morph.directions.text import TextSpace
from morph.errors import ModelError, SettingsError
from pipelines.directions.spaces import SpaceAsked, SpaceOptions, generator_of, pictures_from


def test_spaces_are_read_opened_and_opened_again(folder, space):
    for text, kind, whole in (("h", HSpace, False), ("h-map", HSpace, True), ("text", TextSpace, None)):
        asked = SpaceAsked.of(text, {"width": 64, "height": 128, "steps": "3", "until": 0.25}, str(folder))
        generator = asked.opened()
        assert isinstance(generator, kind)
        assert (generator.size, generator.steps) == ((64, 128), 3)
        again = SpaceAsked.again(generator.settings, folder / "d.safetensors", str(folder)).opened()
        assert again.fingerprint == generator.fingerprint
        assert again.settings == generator.settings
        if kind is HSpace:
            assert (generator.whole, generator.until) == (whole, 0.25)
    asked = SpaceAsked.of(f"glo:{space}", {}, "embedded")
    assert isinstance(asked.opened(), Glo)
    said = {**asked.opened().settings, **asked.said}
    assert SpaceAsked.again(said, space.with_name("d.safetensors"), "embedded").opened().size == (32, 32)


def test_kinds_differ_by_their_fingerprints(model):
    options = SpaceOptions(width=64, height=64, steps=2)
    kinds = [generator_of(model, kind, options).fingerprint for kind in ("h", "h map", "text")]
    assert len(set(kinds)) == 3
    other = generator_of(model, "text", SpaceOptions(width=128, height=64, steps=4))
    assert other.fingerprint == kinds[2]  # neither size nor steps make directions others


@pytest.mark.parametrize("text", ["w", "glo", "glo:", "H", ""])
def test_other_spaces_are_refused(text):
    with pytest.raises(SettingsError, match="there are h, h-map, text, semantic and glo:FILE"):
        SpaceAsked.of(text, {}, "embedded")


def test_what_a_card_says_is_checked(tmp_path):
    beside = tmp_path / "d.safetensors"
    for said, error, message in (
        ({"space": "glo"}, ModelError, "glo:FILE"),
        ({"space": "glo", "file": "../own.safetensors"}, ModelError, "glo:FILE"),
        ({"space": "glo", "file": 3}, ModelError, "glo:FILE"),
        ({"space": "glo", "file": "own.pt"}, ModelError, "glo:FILE"),
        ({"space": "w", "size": [64, 64]}, ModelError, "of which space"),
        ({"space": "h"}, ModelError, "of which space"),
        ({"space": "h", "size": [64, 64], "steps": 10**9}, SettingsError, "steps is"),
        ({"space": "h", "size": [64, "x"]}, SettingsError, "height is"),
        ({"space": "h", "size": [10**6, 64]}, SettingsError, "width is"),
    ):
        with pytest.raises(error, match=message):
            SpaceAsked.again(said, beside, "embedded")
    with pytest.raises(SettingsError, match="a space has no whole"):
        SpaceAsked.of("h", {"whole": 1}, "embedded")


def test_pictures_are_brought_to_a_size(painted):
    files = sorted((painted / "red").iterdir())[:3]
    pictures = pictures_from(files, (64, 32))
    assert pictures.shape == (3, 3, 32, 64)
    assert torch.all(pictures[:, 0].mean((1, 2)) > pictures[:, 2].mean((1, 2)))
