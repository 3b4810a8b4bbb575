"""Renders one film at a time, aside of whoever looks."""

import time
from dataclasses import replace

import pytest

from morph.errors import InputError
from pipelines.page.studio import Studio
from pipelines.tasks.store import FRAMES


def until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_film_is_made_and_what_is_known_of_it_is_said(film, studio):
    assert film.file.is_file()
    assert film.file.with_suffix(".otio").is_file()
    assert film.done
    assert studio.status.film == film.name
    assert any("frames" in line for line in studio.status.said)


def test_a_render_is_stopped_and_goes_on_with_what_is_kept(desk, draft, studio):
    film = desk.new_film(replace(draft, length="300f"))
    studio.start(film)
    until(lambda: studio.status.share > 0.02)
    with pytest.raises(InputError, match="wait for it, or stop it"):
        studio.start(film)
    studio.stop()
    studio.wait(60)
    assert studio.status.state == "stopped"
    assert desk.film(film.name).done is False
    kept = {path: path.stat().st_mtime_ns for path in film.job.glob(f"{FRAMES}/*/*.png")}
    assert 2 < len(kept) < 300
    later = Studio(desk, device="cpu")  # as after a restart
    later.start(desk.film(film.name))
    until(lambda: later.status.look is not None)
    later.wait(120)
    assert later.status.state == "done"
    untouched = [path for path, stamp in kept.items() if path.stat().st_mtime_ns == stamp]
    assert len(untouched) > len(kept) / 2  # the ends are written at every start


def test_what_cannot_be_used_is_refused_before_anything_is_made(desk, draft, studio):
    with pytest.raises(InputError, match="too small"):
        studio.start(desk.new_film(replace(draft, size="32")))
    assert not studio.status.busy


def test_a_film_that_fails_says_why_and_leaves_nothing(desk, draft, studio, tmp_path):
    paints = replace(draft, base=(), preset="default")
    studio.model = str(tmp_path)  # a folder without a model
    film = desk.new_film(paints)
    with pytest.raises(InputError):
        studio.start(film)
    assert studio.status.state == "idle"


def test_a_picture_that_goes_while_it_is_asked_for_is_named(desk, draft, studio):
    film = desk.new_film(draft)
    (desk.pictures / "cat.jpg").unlink()
    with pytest.raises(InputError, match=r"cat\.jpg is gone"):
        studio.start(film)
