"""What is known of ways to edit."""

from dataclasses import dataclass

from pipelines.request.edits.how import How
from pipelines.request.options.setting import setting


@dataclass(frozen=True, kw_only=True)
class Made(How, name="made", does="something", paper="one", needs=("prompt",), takes=("mask",)):
    share: float = setting(0.5, "Of it.", 0, 1)


def test_what_is_needed_may_be_given_too():
    assert Made.needs == {"prompt"}
    assert Made.takes == {"prompt", "mask"}
    assert Made().share == 0.5
    assert Made.published == {}
