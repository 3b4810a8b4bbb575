"""Terms of compositions."""

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.terms import BOXES, Term, terms_of


def test_terms_are_read():
    assert terms_of("") == []
    assert terms_of(
        "a lake @bottom | a moon @0.6,0,0.9,0.3 :1.5 | NOT people in it|a red hat:-0.5 | stars @reference"
    ) == [
        Term("a lake", 1, BOXES["bottom"]),
        Term("a moon", 1.5, (0.6, 0, 0.9, 0.3)),
        Term("people in it", -1),
        Term("a red hat", -0.5),
        Term("stars", 1, "reference"),
    ]
    assert terms_of("NOT a dog :2") == [Term("a dog", -2)]
    assert terms_of("NOTHING") == [Term("NOTHING")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a cat |", "terms has ''"),
        ("@left", "terms has '@left'; it must be [NOT] TEXT"),
        ("a cat @left right", "terms has 'a cat @left right'"),
        ("a cat @nowhere", "terms has the place 'nowhere'; it must be left, right"),
        ("a cat @0.5,0,0.2,1", "terms has the place '0.5,0,0.2,1'"),
        ("a cat @0,0,nan,1", "terms has the place"),
        ("a cat :1.2.3", "terms has the weight '1.2.3'"),
        ("a cat :1000", "terms has the weight 1000; it must be from -100 to 100"),
        ("NOT a cat :-1", "terms has the weight -1; it must be above 0 after NOT"),
    ],
)
def test_what_is_no_term_is_said(text, told):
    with pytest.raises(SettingsError) as error:
        terms_of(text)
    assert told in str(error.value)
