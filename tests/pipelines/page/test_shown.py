"""A finished film with all that is given away of it."""

import json
import zipfile

import pytest
from PIL import Image

from morph.errors import InputError
from pipelines.page.shown import shown


def test_a_film_comes_with_its_frames_timeline_recipe_and_report(film):
    made = shown(film)
    assert [file.name for file in made.downloads] == [
        f"{film.name}{suffix}" for suffix in (".mp4", ".frames.zip", ".otio", ".mp4.json", ".html")
    ]
    assert all(file.stat().st_size for file in made.downloads)
    with zipfile.ZipFile(made.frames) as archive:
        assert archive.namelist() == [f"{film.name}.{number:04d}.png" for number in range(1, 6)]
        with archive.open(archive.namelist()[0]) as first, Image.open(first) as picture:
            assert picture.size == (64, 64)
    with Image.open(made.sheet) as sheet:
        assert sheet.width > 5 * 64
    assert "<svg" in made.curve
    assert made.matches == ()
    assert len(json.loads(made.recipe.read_text())["keyframes"]) == 2


def test_what_is_missing_is_made_again(film):
    made = shown(film)
    made.frames.unlink()
    made.sheet.unlink()
    again = shown(film)
    assert again.frames.is_file()
    assert again.sheet.is_file()


def test_a_film_that_is_not_finished_is_refused(desk, draft):
    with pytest.raises(InputError):
        shown(desk.new_film(draft))
