"""Options of edits for which something is fitted."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.fitted import Asyrp, DiffusionClip

TEXTS = {"prompt": "a photo of a dog", "source": "a photo of a cat"}


@pytest.mark.parametrize("how", [Asyrp, DiffusionClip])
def test_both_texts_are_needed(how):
    assert Edit.of({"how": how.name, **TEXTS}).numbers.guidance == 1
    with pytest.raises(SettingsError, match=f"edit {how.name} needs source"):
        Edit.of({"how": how.name, "prompt": "a dog"})


def test_numbers_are_bounded():
    for how, key in ((DiffusionClip, "fit"), (DiffusionClip, "rank"), (Asyrp, "until"), (Asyrp, "rounds")):
        with pytest.raises(SettingsError, match=f"{key} is -1"):
            how(**{key: -1})
