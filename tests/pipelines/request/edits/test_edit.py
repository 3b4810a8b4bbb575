"""One edit as it was asked for."""

from pathlib import Path

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.noise import SdEdit, Variation
from pipelines.request.edits.numbers import Numbers


def test_numbers_and_options_are_told_apart():
    edit = Edit.of({"how": "sdedit", "prompt": "a dog", "strength": "0.7", "steps": 9, "mask": "m.png"})
    assert edit == Edit(SdEdit(strength=0.7), Numbers(steps=9), prompt="a dog", mask=Path("m.png"))


def test_what_its_authors_work_with_is_its_default():
    assert Edit.of({"how": "variation"}).numbers.guidance == Variation.published["guidance"]
    assert Edit.of({"how": "variation", "guidance": 3}).numbers.guidance == 3


def test_files_and_weights_may_move():
    assert Edit.of({"how": "sdedit", "mask": "m.png"}).with_names({"mask": "a/m.png"}).mask == Path("a/m.png")
    texts = {"how": "asyrp", "prompt": "a dog", "source": "a cat"}
    assert Edit.of(texts).weights == {}
    edit = Edit.of({**texts, "clip": "vit"})
    assert (edit.files, edit.weights) == ({}, {"clip": "vit"})
    assert edit.with_names({"clip": "a/vit"}) == Edit.of({**texts, "clip": "a/vit"})


def test_what_somebody_gave_is_known_and_of_a_recipe_nothing_is():
    edit = Edit.of({"how": "sdedit", "prompt": "a dog", "strength": 0.5, "mask": "m.png"})
    given = [name for name in ("prompt", "source", "mask", "strength", "steps") if edit.gives(name)]
    assert given == ["prompt", "mask", "strength"], "a default that is given is given"
    assert edit.with_names({"mask": "a/m.png"}).gives("strength")
    again = Edit.again(edit.as_dict())
    assert again == edit
    assert not again.gives("strength")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "how is ''; an edit is one of sdedit"),
        ({"how": "sd-edit"}, "did you mean sdedit?"),
        ({"how": "sdedit", "strenght": 1}, "edit sdedit has no strenght; did you mean strength?"),
        ({"how": "sdedit", "strength": 2}, "strength is 2.0; it must be from 0 to 1"),
        ({"how": "sdedit", "steps": "many"}, "steps is 'many'; it must be a whole number"),
        ({"how": "text-difference", "source": "a cat"}, "edit text-difference needs prompt"),
        ({"how": "sdedit", "reference": "r.png"}, "edit sdedit does nothing with reference: leave it out"),
        ({"how": "sdedit", "prompt": 7}, "prompt is 7; it must be text"),
    ],
)
def test_what_is_wrong_is_said(values, told):
    with pytest.raises(SettingsError) as error:
        Edit.of(values)
    assert told in str(error.value)
