"""Work that goes on in steps."""

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
