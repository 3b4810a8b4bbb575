"""A recipe, put in hand."""

import json
from dataclasses import replace

import pytest

from morph.errors import InputError
from pipelines.page.desk import Desk
from pipelines.page.editor import placed
from pipelines.page.reload import draft_from
from pipelines.page.shown import shown


def test_a_film_is_asked_for_again(film, desk, draft, studio):
    for file in (film.file, shown(film).recipe):
        again, told = draft_from(file, desk)
        assert told == []
        assert (again.shots, again.length, again.size) == (draft.shots, "5f", "64")
        assert dict(again.base) | dict(draft.base) == dict(again.base)
        film_again = desk.new_film(again)
        assert studio.clip(film_again).settings.between == "dissolve"


def test_places_come_back(desk, draft, studio):
    marked = placed(replace(draft, base=(), preset="warp"), 0, [[10, 20, 30, 40]])
    film = desk.new_film(marked)
    studio.start(film)
    studio.wait(120)
    assert studio.status.state == "done", studio.status
    again, _ = draft_from(film.file, desk)
    assert again.pairs(*again.ways[0]) == ((10, 20, 30, 40),)


def test_what_the_page_has_not_is_told(film, desk):
    file = shown(film).recipe
    recipe = json.loads(file.read_text())
    recipe["asked"]["model"] = "someone/model"
    recipe["settings"]["between"] = "diffusion"
    recipe["keyframes"][0]["settings"] = {"fade": 0.5}
    file.write_text(json.dumps(recipe))
    _, told = draft_from(file, desk)
    assert ["someone/model" in told[0], "fade" in told[1]] == [True, True]


def test_a_picture_that_is_not_here_is_named(film, tmp_path):
    with pytest.raises(InputError, match=r"cat\.jpg"):
        draft_from(film.file, Desk(tmp_path / "another"))


def test_what_holds_no_recipe_is_refused(desk, tmp_path):
    file = tmp_path / "letter.json"
    file.write_text('{"dear": "all"}')
    with pytest.raises(InputError, match="no recipe"):
        draft_from(file, desk)
