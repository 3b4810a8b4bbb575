"""Options of edits that go by two texts."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.prompts import FlowEdit, PlugAndPlay, PromptToPrompt


def test_published_numbers_are_the_defaults():
    assert (PromptToPrompt().cross, PromptToPrompt().own, PromptToPrompt().threshold) == (0.8, 0.4, 0.3)
    assert (PlugAndPlay().features, PlugAndPlay().attention) == (0.8, 0.5)
    edit = Edit.of({"how": "flowedit", "prompt": "a dog", "source": "a cat"})
    assert round(edit.how.strength * edit.numbers.steps) == 33
    assert (edit.how.source_guidance, edit.numbers.guidance) == (3.5, 13.5)
    assert FlowEdit().noises == 1


def test_weights_are_of_words():
    assert PromptToPrompt(weights="Snowy=2, trees=-0.5").weighted == {"snowy": 2.0, "trees": -0.5}
    assert PromptToPrompt(blend="Cat, dog").blended == ("cat", "dog")
    for wrong in ("snowy", "=2", "snowy=much", "snowy=nan", "snowy=1e9"):
        with pytest.raises(SettingsError, match="it must be a word and a number"):
            PromptToPrompt(weights=wrong)
