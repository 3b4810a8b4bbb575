"""The work in hand as a frozen value."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from morph.errors import InputError, SettingsError
from pipelines.page.draft import MAX_SHOTS, Draft, Shot, changed_fields, pairs_from, plain_name, small_size, usable

CAT, DOG, FOX = Shot("cat.jpg", (640, 480)), Shot("dog.png", (300, 400)), Shot("fox.webp", (90, 90))
THREE = Draft((CAT, DOG, FOX))
PAIRS = ((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0))


def test_it_comes_back_from_json():
    draft = replace(THREE.with_pairs(CAT, DOG, PAIRS), base=(("steps", 3),), seed=7, size="small")
    assert Draft.parse(json.loads(json.dumps(draft.as_dict()))) == draft


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "7"},
        {"seed": True},
        {"fps": 24},
        {"length": "x" * 3000},
        {"shots": [{"file": "../cat.jpg", "size": [1, 1], "prompt": "", "at": ""}]},
        {"shots": [{"file": "cat.jpg", "size": [1], "prompt": "", "at": ""}]},
        {"shots": [{"file": "cat.jpg", "size": [1, 1], "prompt": None, "at": ""}]},
        {"shots": [CAT.__dict__] * (MAX_SHOTS + 1)},
        {"shots": 3},
        {"marked": [{"first": "a", "second": "b", "pairs": [[1, 2, 3]]}]},
        {"base": [1]},
    ],
)
def test_what_is_no_draft_is_refused(change):
    with pytest.raises(InputError):
        Draft.parse(THREE.as_dict() | change)


@pytest.mark.parametrize("content", [None, [], "draft", {}])
def test_other_json_is_refused(content):
    with pytest.raises(InputError, match="damaged"):
        Draft.parse(content)


def test_pictures_change_places_and_go():
    assert THREE.moved(0, 1).shots == (DOG, CAT, FOX)
    assert THREE.moved(2, -1).shots == (CAT, FOX, DOG)
    assert THREE.moved(0, -1) == THREE.moved(2, 1) == THREE.moved(9, -1) == THREE
    assert THREE.without(1).shots == (CAT, FOX)


def test_places_stay_with_their_pictures_whichever_comes_first():
    marked = THREE.with_pairs(CAT, DOG, PAIRS)
    assert marked.moved(0, 1).pairs(CAT, DOG) == PAIRS
    assert marked.pairs(DOG, CAT) == ((3.0, 4.0, 1.0, 2.0), (7.0, 8.0, 5.0, 6.0))
    assert marked.pairs(DOG, FOX) == ()
    again = marked.with_pairs(DOG, CAT, [(1.0, 1.0, 2.0, 2.0)])
    assert again.pairs(CAT, DOG) == ((2.0, 2.0, 1.0, 1.0),)
    assert again.with_pairs(CAT, DOG, []).marked == ()


def test_a_loop_has_a_way_back():
    assert THREE.ways == [(CAT, DOG), (DOG, FOX)]
    assert replace(THREE, repeat="loop").ways == [(CAT, DOG), (DOG, FOX), (FOX, CAT)]


def test_a_film_is_called_after_its_ends():
    assert THREE.name == "cat-fox"
    assert Draft().name == "film"
    assert Draft((CAT, CAT)).name == "cat"


def test_sizes_have_the_first_pictures_shape_and_enlarge_nothing():
    assert replace(THREE, size="small").frame_size() == "512x384"
    assert replace(THREE, size="large").frame_size() == "640x480"
    assert replace(THREE, size="320x200").frame_size() == "320x200"
    assert small_size((3000, 1001), 320) == (320, 106)


def test_the_clip_has_what_was_asked_for(tmp_path):
    points = tmp_path / "points.json"
    points.write_text("[[1, 2, 3, 4]]")
    shots = (replace(CAT, prompt=" a cat ", at="0s"), replace(DOG, at="1s"), replace(FOX, at="2s"))
    draft = Draft(shots, preset="warp", fps="10", ease="in", seed=3)
    clip = draft.clip(Path("pictures"), Path("out/film.mp4"), [None, points])
    assert [one.at for one in clip.keyframes] == [0, 10, 20]
    assert [one.prompt for one in clip.keyframes] == ["a cat", "", ""]
    assert [one.settings.align.points for one in clip.keyframes] == ["", str(points), ""]
    assert clip.keyframes[0].image == Path("pictures/cat.jpg")
    assert (clip.settings.between, clip.settings.ease, clip.settings.seed) == ("dissolve", "in", 3)


def test_places_count_only_where_pictures_are_brought_into_register(tmp_path):
    draft = Draft((CAT, DOG), base=(("align.on", False), ("between", "dissolve")))
    clip = draft.clip(tmp_path, tmp_path / "film.mp4", [tmp_path / "points.json"])
    assert clip.keyframes[0].settings.align.points == ""


def test_times_are_of_all_pictures_or_of_none():
    with pytest.raises(SettingsError, match="picture 2 has no time"):
        Draft((replace(CAT, at="0"), DOG)).clip(Path(), Path("film.mp4"), [])


def test_a_recipe_names_no_files():
    values = {"steps": 4, "encode.preset": "/etc/x.toml", "align.points": "p.txt", "ranking.clip": "a/b"}
    assert usable(values) == {"steps": 4}
    draft = Draft((CAT, DOG), base=(("steps", 4), ("encode.audio", "/etc/passwd")))
    assert draft.settings().steps == 4
    assert draft.settings().encode.audio == ""


@pytest.mark.parametrize(
    "content", [None, [1], [[1, 2, 3]], [[1, 2, 3, "4"]], [[1, 2, 3, float("nan")]], [[0] * 4] * 201]
)
def test_what_is_no_pair_of_points_is_refused(content):
    with pytest.raises(InputError):
        pairs_from(content)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "x" * 256])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InputError):
        plain_name(name)


def test_only_fields_are_changed():
    assert changed_fields(THREE, {"fps": "12"}).fps == "12"
    with pytest.raises(ValueError, match="nothing"):
        changed_fields(THREE, {"nothing": 1})
