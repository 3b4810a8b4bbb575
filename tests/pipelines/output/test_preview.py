"""Films that are small enough for a page."""

from fractions import Fraction

import numpy as np
import pytest

from morph.media.film import open_film
from morph.media.target import Stream
from pipelines.output import preview as module
from pipelines.output.preview import BYTES, FRAMES, preview


def noise(size, dtype=np.uint8, channels=3):
    """Frames that no codec makes small."""
    width, height = size

    def frames(numbers):
        for number in numbers:
            levels = np.random.default_rng(number).integers(0, 256, (height, width, channels))
            yield (levels * (257 if dtype == np.uint16 else 1)).astype(dtype)

    return frames


def film_of(data, folder):
    (folder / "preview.mp4").write_bytes(data)
    return open_film(folder / "preview.mp4")


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 4)])
def test_a_large_film_becomes_a_small_one_of_the_same_shape_and_length(tmp_path, dtype, channels):
    stream = Stream((1000, 500), Fraction(24), 3, channels == 4, np.dtype(dtype).itemsize * 8)
    film = film_of(preview(noise(stream.size, dtype, channels), stream), tmp_path)
    assert next(film.frames()).shape == (240, 480, 3)
    assert film.times.fps == 24
    assert len(list(film.frames())) == 3


def test_an_odd_size_is_carried(tmp_path):
    film = film_of(preview(noise((33, 17)), Stream((33, 17), Fraction(24), 2)), tmp_path)
    assert next(film.frames()).shape == (18, 34, 3)


def test_of_a_long_film_every_second_frame_is_shown(tmp_path):
    stream = Stream((16, 16), Fraction(60), FRAMES + 1)
    film = film_of(preview(noise(stream.size), stream), tmp_path)
    assert film.times.fps == 30
    assert len(list(film.frames())) == (FRAMES + 2) // 2


def test_a_film_that_is_still_too_large_becomes_smaller(tmp_path, monkeypatch):
    stream = Stream((600, 600), Fraction(24), 4)
    whole = preview(noise(stream.size), stream)
    assert len(whole) < BYTES
    monkeypatch.setattr(module, "BYTES", len(whole) - 1)
    film = film_of(preview(noise(stream.size), stream), tmp_path)
    assert next(film.frames()).shape == (320, 320, 3)
