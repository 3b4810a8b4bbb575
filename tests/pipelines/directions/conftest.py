"""Small pictures and a space of them."""

import numpy as np
import pytest
from PIL import Image

from pipelines.tasks.progress import quiet


class Bar:
    """Tells nobody."""

    def __init__(self, planned):
        self.planned = planned

    def __enter__(self):
        return quiet

    def __exit__(self, *failure):
        pass


@pytest.fixture
def bar():
    return Bar


def paint(folder, names, colour, seed):
    """Pictures of 40 px of about one colour, each with a bar of another height."""
    folder.mkdir()
    numbers = np.random.default_rng(seed)
    for name in names:
        pixels = np.full((40, 40, 3), colour) + numbers.integers(-25, 25, 3)
        pixels[: numbers.integers(5, 35)] //= 2
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    """Folders ``red`` and ``blue`` of eight pictures each, and ``all`` of six."""
    folder = tmp_path_factory.mktemp("painted")
    paint(folder / "red", range(8), (220, 60, 50), 0)
    paint(folder / "blue", range(8), (40, 60, 220), 1)
    paint(folder / "all", range(3), (220, 60, 50), 2)
    for index, picture in enumerate(sorted((folder / "blue").iterdir())[:3]):
        (folder / "all" / f"blue{index}.png").write_bytes(picture.read_bytes())
    return folder


@pytest.fixture(scope="session")
def space(painted):
    """The file of a space of the pictures in ``all``."""
    from pipelines.directions.learn import GloOptions, learn_file

    file = painted / "space.safetensors"
    options = GloOptions(side=32, numbers=6, width=32, fit_steps=120, rate=5e-3)
    learn_file(str(painted / "all"), str(file), options, Bar)
    return file
