"""Images are decoded once, while what is kept has room."""

import pickle

import numpy as np
import pytest
from PIL import Image

from morph.errors import KeyframeError
from pipelines.request import images
from pipelines.request.images import Images


@pytest.fixture
def files(tmp_path):
    found = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(found):
        Image.fromarray(np.full((40, 60, 3), number, np.uint8)).save(path)
    return found


def test_an_image_is_read_once_whatever_is_asked_of_it(files):
    kept = Images()
    assert kept.original(files[0]) == (60, 40)
    first = kept.prepared(files[0], (30, 20), "crop")
    files[0].unlink()
    assert kept.prepared(files[0], (30, 20), "crop") is first
    assert kept.original(files[0]) == (60, 40)
    assert first.pixels.shape == (20, 30, 3)
    with pytest.raises(KeyframeError, match=r"0\.png"):
        kept.prepared(files[0], (60, 40), "pad")


def test_the_last_two_are_kept_whatever_their_size(files, monkeypatch):
    monkeypatch.setattr(images, "ROOM", 0)
    kept = Images()
    for path in files:
        kept.prepared(path, (30, 20), "crop")
    for path in files:
        path.unlink()
    assert [int(kept.prepared(path, (30, 20), "crop").pixels[0, 0, 0]) for path in files[2:]] == [2, 3]
    with pytest.raises(KeyframeError, match=r"1\.png"):
        kept.prepared(files[1], (30, 20), "crop")


def test_what_is_kept_stays_where_it_is(files):
    kept = Images()
    kept.prepared(files[0], (30, 20), "crop")
    files[0].unlink()
    with pytest.raises(KeyframeError):
        pickle.loads(pickle.dumps(kept)).prepared(files[0], (30, 20), "crop")
