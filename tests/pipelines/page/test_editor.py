"""What the browser is told of two pictures, and what it answers."""

import pytest

from morph.errors import InputError
from pipelines.page.editor import SCRIPT, editor_value, placed


def test_the_browser_is_told_pictures_and_places(draft):
    draft = placed(draft, 0, [[1, 2, 3, 4]])
    value = editor_value(draft, 0, lambda shot: f"at/{shot.file}")
    assert value["pairs"] == [[1, 2, 3, 4]]
    assert value["pictures"][1] == {"url": "at/raccoon.jpg", "width": 80, "height": 96, "name": "raccoon.jpg"}
    assert editor_value(draft, 1, str) is None


def test_places_are_brought_onto_pixels(draft):
    first, second = draft.ways[0]
    assert placed(draft, 0, [[-0.4, 79.4, 79.4, 95]]).pairs(first, second) == ((0, 79, 79, 95),)


@pytest.mark.parametrize("pairs", [[[96, 0, 0, 0]], [[0, 0, 0, -1]], "all", None, [[1]]])
def test_what_is_on_no_picture_is_refused(draft, pairs):
    with pytest.raises(InputError):
        placed(draft, 0, pairs)


def test_there_must_be_two_pictures(draft):
    with pytest.raises(InputError, match="bring them first"):
        placed(draft, 1, [])


def test_the_script_tells_where_places_are():
    assert 'trigger("placed"' in SCRIPT.read_text(encoding="utf-8")
