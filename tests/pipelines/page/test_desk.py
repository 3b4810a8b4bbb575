"""The folder in which the page works."""

import json
import os
from dataclasses import replace

import pytest
from PIL import Image

from morph.errors import InputError, KeyframeError
from pipelines.page.desk import DRAFT, MAX_UPLOAD, VIEW, Desk, read_draft, write_points
from tests.pipelines.page.conftest import small


def test_a_picture_is_taken_in_once(desk, photographs):
    cat, raccoon = (desk.take(file) for file in photographs)
    assert (cat.file, cat.size, raccoon.size) == ("cat.jpg", (96, 80), (80, 96))
    assert desk.take(photographs[0], "another name.jpg").file == "cat.jpg"
    assert (desk.pictures / "cat.jpg").read_bytes() == photographs[0].read_bytes()
    assert sorted(path.name for path in desk.pictures.iterdir()) == ["cat.jpg", "raccoon.jpg"]


def test_another_of_the_same_name_gets_one_of_its_own(desk, photographs):
    desk.take(photographs[0])
    assert desk.take(photographs[1], "cat.jpg").file == "cat-2.jpg"


def test_names_become_plain(desk, photographs):
    assert desk.take(photographs[0], 'a <b> "c"@first?.jpg').file == "a -b- -c-first.jpg"


def test_the_view_is_upright_and_small(desk, tmp_path):
    large = small("cat.jpg", tmp_path, (2048, 512))
    with Image.open(large) as image:
        exif = image.getexif()
        exif[0x0112] = 6  # turned by a quarter
        image.save(large, exif=exif)
    shot = desk.take(large)
    assert shot.size == (512, 2048)
    with Image.open(desk.view(shot.file)) as view:
        assert view.size == (VIEW // 4, VIEW)


def test_what_is_no_picture_is_refused_by_its_name(desk, tmp_path):
    file = tmp_path / "letter.jpg"
    file.write_text("Dear all")
    with pytest.raises(KeyframeError, match=r"^letter\.jpg: (?!.*/)"):
        desk.take(file)
    assert not list(desk.pictures.iterdir())


def test_a_path_for_a_name_is_refused(desk, photographs):
    with pytest.raises(InputError, match="without slashes"):
        desk.take(photographs[0], "../cat.jpg")


def test_a_file_that_is_too_large_is_refused_unread(desk, tmp_path):
    file = tmp_path / "large.png"
    file.touch()
    os.truncate(file, 200 * 1024**2)
    with pytest.raises(KeyframeError, match=f"larger than {MAX_UPLOAD // 1024**2} MB"):
        desk.take(file)


def test_the_work_is_there_when_one_comes_back(desk, draft):
    desk.change(lambda draft: replace(draft, seed=9))
    assert Desk(desk.root).draft == replace(draft, seed=9)


@pytest.mark.parametrize("text", ["", "[]", '{"shots": [1]}', "\0"])
def test_damaged_work_is_begun_anew(desk, draft, text):
    (desk.root / DRAFT).write_text(text)
    assert Desk(desk.root).draft.shots == ()


def test_work_with_a_picture_that_is_gone_is_begun_anew(desk, draft):
    (desk.pictures / "cat.jpg").unlink()
    assert Desk(desk.root).draft.shots == ()


def test_films_are_numbered_and_remember_what_was_asked(desk, draft):
    first, second = desk.new_film(draft), desk.new_film(replace(draft, seed=2))
    assert [film.name for film in desk.films()] == ["002-cat-raccoon", "001-cat-raccoon"]
    assert desk.draft_of(second).seed == 2
    assert desk.film(first.name).done is None
    desk.forget(second)
    assert [film.name for film in desk.films()] == ["001-cat-raccoon"]


def test_a_film_that_is_nowhere_is_refused(desk):
    for name in ("no", "../desk", ".."):
        with pytest.raises(InputError):
            desk.film(name)


def test_no_work_is_forgotten(film, desk):
    with pytest.raises(ValueError, match="has work in it"):
        desk.forget(film)


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="name another"):
        Desk(tmp_path / "file" / "desk")


def test_points_are_written_for_the_ways_that_have_some(tmp_path):
    files = write_points(tmp_path, [[], [(1.0, 2.0, 3.0, 4.0)]])
    assert files[0] is None
    assert json.loads(files[1].read_text()) == [[1, 2, 3, 4]]


def test_a_draft_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        read_draft(tmp_path / DRAFT)
