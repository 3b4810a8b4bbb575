"""Values as people write them."""

from dataclasses import dataclass
from typing import Literal

import pytest

from morph.errors import SettingsError
from pipelines.request.options.setting import Section, group, setting
from pipelines.request.options.values import keys, with_values


@dataclass(frozen=True, kw_only=True)
class Inner(Section, prefix="inner."):
    share: float = setting(0.5, "A share.", 0, 1)


@dataclass(frozen=True, kw_only=True)
class Outer(Section):
    count: int = setting(3, "How many.", 1, 9)
    kind: Literal["one", "other"] = setting("one", "Which.")
    loud: bool = setting(False, "Whether.")
    inner: Inner = group(Inner)


def no_such(key):
    return SettingsError(f"no {key}")


def test_values_are_read_and_those_not_named_stay():
    new = with_values(Outer(), {"count": "4", "loud": "yes", "inner.share": "0.25"}, no_such)
    assert new == Outer(count=4, loud=True, inner=Inner(share=0.25))
    assert with_values(new, {"inner": {"share": 1}}, no_such).inner.share == 1
    assert keys(new) == {"count": 4, "kind": "one", "loud": True, "inner.share": 0.25}
    assert with_values(Outer(), keys(new), no_such) == new


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"counts": 1}, "no counts"),
        ({"count": "many"}, "count is 'many'; it must be a whole number"),
        ({"count": 10}, "count is 10; it must be from 1 to 9"),
        ({"inner.share": "0,5"}, "a number, with a point: 0.5"),
        ({"kind": "third"}, "kind is 'third'; it must be one of one, other"),
        ({"loud": "maybe"}, "loud is 'maybe'; it must be true or false"),
        ({"inner": 1}, "inner is a group of settings; set one of inner.share"),
        ({"count.of": 1}, "count has no parts"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(values, told):
    with pytest.raises(SettingsError) as error:
        with_values(Outer(), values, no_such)
    assert told in str(error.value)
