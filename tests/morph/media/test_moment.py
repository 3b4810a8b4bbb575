"""Frames of films where pictures are asked for."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from morph.errors import InputError, KeyframeError
from morph.media.image import check_image, read_image
from morph.media.moment import Moment, file_of
from morph.media.target import Stream
from morph.media.video import VideoWriter
from pipelines.output.targets import load_target
from tests.morph.media.films import ffmpeg, picture

GREYS = (10, 60, 110, 160, 210)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Five frames of one grey each, a quarter of a second long."""
    path = tmp_path_factory.mktemp("film") / "a.mkv"
    with VideoWriter(path, load_target("ffv1"), Stream((96, 64), Fraction(4), len(GREYS))) as writer:
        for grey in GREYS:
            writer.write(np.full((64, 96, 3), grey, np.uint8))
    return path


@pytest.mark.parametrize(
    ("when", "number"),
    [
        *(("first", 0), ("last", 4), ("0", 0), ("0.24s", 0), ("0.25s", 1), ("0.74", 2), ("1s", 4), ("1.25s", 4)),
        *(("0f", 0), ("3f", 3)),
    ],
)
def test_the_frame_that_is_shown_then(film, when, number):
    image = f"{film}@{when}"
    check_image(image)
    pixels, alpha, notices = read_image(image)
    assert (pixels.shape, alpha, notices) == ((64, 96, 3), None, ())
    assert (pixels == GREYS[number]).all()
    pixels[:] = 0  # who reads it again has it as it was
    assert (read_image(image).pixels == GREYS[number]).all()


def test_what_is_not_there_is_one_line(film, tmp_path):
    for when, message in (
        ("1.26s", r"the film is 1\.25 s long; its last frame is @last"),
        ("5f", "the film has 5 frames; the last is @4f"),
    ):
        with pytest.raises(KeyframeError, match=message):
            read_image(f"{film}@{when}")
    with pytest.raises(KeyframeError, match=r"none\.mp4: cannot be opened"):
        check_image("none.mp4@first")
    (tmp_path / "text.mp4").write_text("no film")
    for when in ("first", "1s"):
        with pytest.raises(InputError, match=r"text\.mp4: cannot be read as a video"):
            read_image(tmp_path / f"text.mp4@{when}")


def test_names_of_moments_and_of_other_files(tmp_path):
    assert Moment.parse("x/a b.mp4@2.5s") == Moment(Path("x/a b.mp4"), "2.5s")
    assert str(Moment.parse("x/a.mp4@last")) == "x/a.mp4@last"
    assert Moment.parse("x/a.b.mp4@last").name == "a.b@last"
    for name in ("a.mp4", "a@first", "a.mp4@", "a.mp4@2 s", "a.mp4@-1s", "me@home.png", "a.mp4@first.png"):
        assert Moment.parse(name) is None
        assert file_of(Path(name)) == Path(name)
    assert file_of(Path("a.mp4@3f")) == Path("a.mp4")
    (tmp_path / "a.mp4@first").touch()
    assert Moment.parse(tmp_path / "a.mp4@first") is None


def test_pixels_that_are_not_square_and_what_is_converted_are_told(tmp_path):
    wide = tmp_path / "wide.mp4"
    ffmpeg(*picture(0.5), "-vf", "setsar=2", wide)
    for when in ("first", "last"):
        pixels, _, notices = read_image(f"{wide}@{when}")
        assert pixels.shape == (96, 256, 3)
        assert notices == (f"{wide}@{when}: its pixels are not square: it is scaled to 256x96",)


def test_a_film_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "a.mkv"
    for number, grey in enumerate((10, 200)):
        with VideoWriter(path, load_target("ffv1"), Stream((96, 64), Fraction(4), 1)) as writer:
            writer.write(np.full((64, 96, 3), grey, np.uint8))
        os.utime(path, (number, number))
        assert (read_image(f"{path}@last").pixels == grey).all()
