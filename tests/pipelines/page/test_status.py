"""How far a render has come, in words."""

import pytest

from pipelines.page.status import Status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status("working", "f", "render", 0.25, 200.0), "Painting: 25% done, about 3 min left"),
        (Status("working", "f", "invert", 0.5, 12.0), "Looking at the pictures: 50% done, about 10 s left"),
        (Status("working", "f", "unheard of", 0.5), "unheard of: 50% done"),
        (Status("stopping", "f"), "Stopping after this step; what is made is kept"),
        (Status("failed", "f", error="<no>"), "This did not work: <no>"),
        (Status("done", "f"), "Done"),
    ],
)
def test_it_says_what_is_going_on(status, words):
    assert status.line() == words


def test_there_is_nothing_before_the_first_render():
    assert Status().markup() == ""
    assert not Status().busy


def test_what_is_being_painted_is_shown_while_it_is():
    working = Status("working", "f", look=b"jpeg", said=("one",))
    assert 'src="data:image/jpeg' in working.markup()
    assert "<li>" not in working.markup()
    done = Status("done", "f", look=b"jpeg", said=("<one>",))
    assert "<img" not in done.markup()
    assert "<li>&lt;one&gt;</li>" in done.markup()
