"""What the page does when something on it is touched."""

from dataclasses import replace

import pytest

pytest.importorskip("gradio")

import gradio as gr

from pipelines.page.draft import Draft
from pipelines.page.layout import RECIPE
from pipelines.page.shown import shown
from pipelines.page.wire import Page


@pytest.fixture
def page(desk, studio):
    page = Page(desk, studio)
    page.build()
    return page


def event(**data):
    return gr.EventData(target=None, _data=data)


def test_nothing_on_the_page_is_there_for_programs(desk, studio):
    blocks = Page(desk, studio).build()
    events = blocks.config["dependencies"]
    assert len(events) > 20
    assert "public" not in {one["api_visibility"] for one in events}


def test_pictures_are_taken_and_what_is_none_is_left(page, desk, photographs, tmp_path):
    letter = tmp_path / "letter.png"
    letter.write_text("Dear all")
    with pytest.warns(UserWarning, match=r"letter\.png"):  # outside of a browser it is one of Python's
        assert page.bring([str(photographs[0]), str(letter), str(photographs[1])], 4) == (None, 5)
    assert [shot.file for shot in desk.draft.shots] == ["cat.jpg", "raccoon.jpg"]
    dropdown, editor, again = page.look(None)
    assert (dropdown["visible"], again["visible"]) == (False, True)
    assert editor["value"]["pictures"][0]["url"].startswith("/gradio_api/file=")
    assert page.look(7)[1]["value"] == editor["value"]


def test_texts_and_places_are_kept(page, desk, draft):
    page._text("prompt", 1)("a raccoon")
    page._text("at", 0)("1s")
    page._text("prompt", 5)("nobody")
    page.place(None, event(pairs=[[1, 2, 3, 4]]))
    first, second = desk.draft.shots
    assert (first.at, second.prompt) == ("1s", "a raccoon")
    assert desk.draft.pairs(first, second) == ((1, 2, 3, 4),)
    with pytest.raises(gr.Error, match="outside"):
        page.place(0, event(pairs=[[1000, 2, 3, 4]]))


def test_rows_move_and_go(page, desk, draft):
    assert page._change(lambda draft: draft.moved(0, 1))(1) == 2
    assert [shot.file for shot in desk.draft.shots] == ["raccoon.jpg", "cat.jpg"]


def test_a_kind_takes_the_place_of_a_recipes_settings(page, desk, draft):
    assert page.field_values()[0]["value"] == RECIPE
    page.keep_field("preset")(RECIPE)
    assert desk.draft.base
    page.keep_field("preset")("warp")
    page.keep_field("seed")(None)
    page.keep_field("length")("x" * 9999)
    assert (desk.draft.base, desk.draft.preset, desk.draft.seed) == ((), "warp", 0)
    assert Draft.parse(desk.draft.as_dict()) == desk.draft


def values(page, **changes):
    draft = page.desk.draft
    chosen = {name: getattr(draft, name) for name in page.parts.fields} | {"preset": RECIPE} | changes
    return list(chosen.values())


def test_a_film_is_made_and_shown(page, desk, draft, studio):
    status, make, go_on, stop, timer, name = page.make(*values(page))
    assert "<progress" in status
    assert [make["visible"], go_on["visible"], stop["visible"], timer["active"]] == [False, False, True, True]
    with pytest.raises(gr.Error, match="is being made"):
        page.make(*values(page))
    studio.wait(120)
    status, make, _, _, timer, name = page.watch("")
    assert ("Done" in status, make["visible"], timer["active"], name) == (True, True, False, "001-cat-raccoon")
    visible, title, film, *_, films = page.show(name)
    assert (visible["visible"], title) == (True, "### 001-cat-raccoon")
    assert film.endswith("001-cat-raccoon.mp4")
    assert films["value"] == name
    assert page.come_back()[-1] == name


@pytest.mark.parametrize(
    ("changes", "words"), [({"length": "long"}, "time"), ({"size": "32"}, "small"), ({"fps": "0"}, "fps")]
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(page, desk, draft, changes, words):
    with pytest.raises(gr.Error, match=words):
        page.make(*values(page, **changes))
    assert desk.films() == []


def test_one_picture_is_no_film(page, desk, draft):
    desk.keep(draft.without(1))
    with pytest.raises(gr.Error, match="two pictures"):
        page.make(*values(page))
    assert page.see(0) == ""
    assert page.look(0)[1]["value"] is None


def test_what_was_broken_off_is_offered_and_goes_on(page, desk, draft, studio):
    film = desk.new_film(draft)
    status, _, go_on, *_ = page.come_back()
    assert film.name in status
    assert go_on["visible"]
    with pytest.raises(gr.Error, match="not finished"):
        page.show(film.name)
    page.go_on()
    studio.wait(120)
    assert desk.film(film.name).done
    assert page.come_back()[2]["visible"] is False
    with pytest.raises(gr.Error, match="nothing to go on"):
        page.go_on()


def test_another_film_and_a_recipe_are_put_in_hand(page, desk, film, draft):
    desk.keep(Draft())
    assert page.again(film.name, 1)[0] == 2
    assert desk.draft == draft
    desk.keep(Draft())
    page.load_recipe(str(shown(film).recipe), 1)
    assert desk.draft.shots == draft.shots
    with pytest.raises(gr.Error, match="no film yet"):
        page.again(None, 1)
    assert page.choose(None) == ""
    assert page.show("")[0] == {"visible": False, "__type__": "update"}


def test_names_are_no_markup(page, desk, draft):
    shot = replace(draft.shots[0], file='a"><script>.jpg')
    assert "<script>" not in page._thumbnail(shot)
