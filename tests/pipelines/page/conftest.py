"""A desk with two small pictures, and a film that needs no model."""

import gc
from dataclasses import replace

import pytest
from PIL import Image

from pipelines.page.desk import Desk
from pipelines.page.draft import Draft
from pipelines.page.studio import Studio
from tests.conftest import SAMPLES

LAID_OVER = (("between", "dissolve"), ("align.on", False), ("pacing", "uniform"))
"""Settings of a film that neither paints nor moves anything."""


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """What a module has left open goes with it, and not in the middle of another's tests."""
    yield
    gc.collect()


def small(name, folder, size=(96, 80)):
    """A sample photograph, made small."""
    file = folder / name
    with Image.open(SAMPLES / name) as image:
        image.resize(size).save(file, quality=95)
    return file


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    return [small("cat.jpg", folder), small("raccoon.jpg", folder, (80, 96))]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "desk")


@pytest.fixture
def draft(desk, photographs):
    """Both photographs on the desk, to be laid over one another in five frames."""
    shots = [desk.take(file) for file in photographs]
    return desk.keep(replace(Draft().with_shots(shots), base=LAID_OVER, length="5f", size="64"))


@pytest.fixture
def studio(desk):
    studio = Studio(desk, device="cpu")
    yield studio
    studio.close()


@pytest.fixture
def film(desk, draft, studio):
    """A finished film."""
    film = desk.new_film(draft)
    studio.start(film)
    studio.wait(120)
    assert studio.status.state == "done", studio.status
    return desk.film(film.name)
