"""What was asked for, as one value."""

import pytest

from morph.errors import SettingsError
from pipelines.request.clip import pair_prompts


def test_prompts_are_none_one_for_all_or_one_each():
    assert pair_prompts([], 2) == ["", ""]
    assert pair_prompts(["a"], 2) == ["a", "a"]
    assert pair_prompts(["a", "b"], 2) == ["a", "b"]
    with pytest.raises(SettingsError, match="3 prompts for 2 images"):
        pair_prompts(["a", "b", "c"], 2)
