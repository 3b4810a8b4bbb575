from pathlib import Path

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.edit import Edit


def test_a_file_and_a_number_are_asked_for():
    edit = Edit.of({"how": "direction", "directions": "d.safetensors", "number": "3", "far": "-1.5"})
    assert (edit.how.number, edit.how.far) == (3, -1.5)
    assert edit.files == {"directions": Path("d.safetensors")}
    assert edit.numbers.guidance == 1
    assert Edit.again(edit.as_dict()) == edit
    for values, message in (
        ({"number": 0}, "from 1 to 512"),
        ({"prompt": "a cat"}, "does nothing with prompt"),
        ({"direction": "d"}, "did you mean directions"),
        ({}, "needs a file of directions"),
        ({"directions": "d.safetensors", "negative": "grey"}, "does nothing with negative"),
    ):
        with pytest.raises(SettingsError, match=message):
            Edit.of({"how": "direction", **values})
