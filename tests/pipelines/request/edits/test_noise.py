"""Options of edits that noise."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.noise import SdEdit, TextDifference, Variation


def test_shares_are_shares():
    assert SdEdit().strength == 0.5
    for how, key in ((SdEdit, "strength"), (Variation, "fresh"), (TextDifference, "scale")):
        with pytest.raises(SettingsError, match=f"{key} is -1"):
            how(**{key: -1})
