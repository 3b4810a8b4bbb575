"""Two pictures for video models to go between."""

import pytest
from PIL import Image

from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def ends():
    return tuple(Image.open(SAMPLES / name).convert("RGB").resize((96, 64)) for name in ("cat.jpg", "raccoon.jpg"))
