"""Pictures of every kind as files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morph.errors import KeyframeError
from morph.media.stills import read_png
from pipelines.job.picture import file_of


def test_a_file_is_itself(tmp_path):
    assert file_of("a.png", tmp_path / "b.png") == Path("a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_arrays_keep_every_level(tmp_path, dtype, channels):
    picture = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 7, channels), dtype)
    assert np.array_equal(read_png(file_of(picture, tmp_path / "a.png")), picture)


def test_pillow_images_keep_what_a_png_can(tmp_path):
    picture = Image.new("RGBA", (4, 3), (10, 20, 30, 40))
    with Image.open(file_of(picture, tmp_path / "a.png")) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("RGBA", (10, 20, 30, 40))
    with Image.open(file_of(picture.convert("RGB").convert("CMYK"), tmp_path / "b.png")) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("RGB", (10, 20, 30))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (3, "a: a int: give a file's name"),
        (np.zeros((2, 2, 3), np.float32), "an array of float32"),
        (np.zeros((2, 2), np.uint8), "an array of uint8"),
        (Image.new("F", (2, 2)), "mode F"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, picture, message):
    with pytest.raises(KeyframeError, match=message):
        file_of(picture, tmp_path / "a.png")
