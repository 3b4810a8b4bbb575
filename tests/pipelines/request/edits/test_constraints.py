"""Options of edits that hold to a rule, or compose."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.constraints import Compose, Ilvr, Inpaint, Restore
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.numbers import Numbers


def test_times_that_are_gone_back_are_counted():
    plain = Numbers(steps=4, guidance=1)
    assert Inpaint(jump=2, repeat=3).forwards(plain, [1]) == 4 + 2 * 2
    assert Inpaint(jump=10, repeat=10).forwards(Numbers(steps=250, guidance=1), [1]) == 2410  # as published
    assert Restore().forwards(plain, [1]) == Ilvr().forwards(plain, [1]) == 4
    asked = Edit.of({"how": "inpaint", "mask": "m.png", "steps": 4, "jump": 2, "repeat": 3})
    assert asked.forwards([0, 1, 1]) == 2 * 8 * 2


def test_published_numbers_are_defaults():
    for how in ("ilvr", "ddnm"):
        assert Edit.of({"how": how}).numbers.steps == 100
    assert (Ilvr().width, Ilvr().free, Restore().eta) == (32, 0.2, 0.85)


def test_terms_are_refused_with_the_options():
    assert Compose(terms="a cat | NOT a dog").terms
    with pytest.raises(SettingsError, match="terms has the place 'moon'"):
        Edit.of({"how": "compose", "terms": "a cat @moon"})
    with pytest.raises(SettingsError, match="edit inpaint needs mask"):
        Edit.of({"how": "inpaint", "prompt": "a cat"})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"how": "ddnm", "task": "inpaint"}, "edit ddnm needs mask with task inpaint"),
        ({"how": "hybrid", "prompt": "a", "keep": "none"}, "edit hybrid needs second with keep none"),
        ({"how": "hybrid", "prompt": "a", "second": "b"}, "edit hybrid has second without keep none"),
        (
            {"how": "hybrid", "prompt": "a", "second": "b", "keep": "none", "reference": "r.png"},
            "edit hybrid does nothing with reference with keep none",
        ),
        ({"how": "compose", "prompt": "a", "terms": "a @reference"}, "edit compose needs reference"),
        ({"how": "compose", "prompt": "a", "reference": "r.png"}, "edit compose does nothing with reference"),
    ],
)
def test_what_does_not_go_together_is_refused_beforehand(values, told):
    with pytest.raises(SettingsError, match=told):
        Edit.of(values)
