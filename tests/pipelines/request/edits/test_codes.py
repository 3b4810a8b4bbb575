"""Options of edits of codes."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.codes import DeltaEdit, DiffusionAutoencoder
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
