"""Options of edits of codes."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.codes import DeltaEdit, DiffusionAutoencoder, levels_of
from pipelines.request.edits.edit import Edit


def test_what_they_need():
    with pytest.raises(SettingsError, match="needs reference"):
        Edit.of({"how": "diffae"})
    with pytest.raises(SettingsError, match="needs source"):
        Edit.of({"how": "delta-edit", "prompt": "a dog"})
    assert Edit.of({"how": "diffae", "reference": "b.jpg"}).numbers.guidance == 1


def test_numbers_are_bounded():
    for how, key in ((DeltaEdit, "scale"), (DiffusionAutoencoder, "noise")):
        with pytest.raises(SettingsError, match=f"{key} is -1"):
            how(**{key: -1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"how": "pada", "prompt": "a dog", "reference": "dog.png"}, "give prompt, or reference"),
        ({"how": "resample", "levels": "1;2"}, "is no number: write them as 1,3"),
        ({"how": "resample", "strength": 2}, "strength is 2"),
    ],
)
def test_what_means_nothing_is_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        Edit.of(values)


def test_levels_are_numbers():
    assert levels_of("") == ()
    assert levels_of(" 1, 3") == (1, 3)
    for text in ("1,", "a", "-1", "1.5", "100"):
        with pytest.raises(SettingsError, match="write them as 1,3"):
            levels_of(text)
    with pytest.raises(SettingsError, match="write them as 1,3"):
        Edit.of({"how": "direction", "directions": "d.safetensors", "levels": "all"})
