"""Work that goes on in steps."""

import pytest

from morph.steps import drain


def test_what_a_generator_returns_is_kept_and_each_step_told():
    def steps():
        yield "a"
        yield "b"
        return "end"

    told = []
    assert drain(steps(), told.append) == "end"
    assert told == ["a", "b"]
    assert drain(steps()) == "end"


def test_what_a_generator_holds_is_let_go_at_once_where_a_tick_raises():
    held = []

    def steps():
        held.append("it")
        try:
            yield 1
        finally:
            held.clear()

    def stop(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        drain(steps(), stop)
    assert not held
    assert kept.value is not None  # as a notebook keeps the last one
