"""What is typed into nodes."""

from fractions import Fraction

import pytest

from morph.errors import InputError, SettingsError
from pipelines.comfy.widgets import points_in, prompts_in, rate_in, refusal, settings_in, size_in, typed


def test_texts_are_read():
    assert prompts_in("a cat\n\n a dog \n") == ["a cat", "", "a dog"]
    assert settings_in("steps=20\n# align.on=false\n\n negative = a = b\n") == {"steps": "20", "negative": "a = b"}
    assert points_in("1,2,3,4\n5 6 7 8").pairs.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert size_in("320x192") == (320, 192)
    assert rate_in("24000/1001 ") == Fraction(24000, 1001)


def test_blanks_are_nothing():
    assert prompts_in(" \n ") == []
    assert settings_in("\n") == {}
    assert points_in(" ") is None
    assert size_in("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps", "write key=value"),
        ("stepz=2", "steps"),
        ("frames=2", "frames has an input of its own"),
        ("align.points=a.txt", "align.points has an input of its own"),
        ("encode.preset=hevc", "is about files"),
    ],
)
def test_settings_that_are_not_the_nodes_are_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        settings_in(text)


def test_points_that_are_no_numbers_are_told_by_their_line():
    with pytest.raises(InputError, match=r"^points, line 2: 'a b c d' is not four numbers"):
        points_in("1 2 3 4\na b c d")
    with pytest.raises(InputError, match=r"^points, pair 1: is no list of numbers"):
        points_in('["a"]')


def test_a_check_is_true_or_one_line():
    assert refusal(lambda: rate_in("24")) is True
    assert refusal(lambda: rate_in("fast")).startswith("fps 'fast'")
    assert [typed(value) for value in ("a", None, ["3", 0])] == ["a", "", ""]
