"""Moving pictures, whatever they are stored as."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from morph.errors import InputError, SettingsError
from morph.media.footage import open_footage
from morph.media.times import Times
from tests.morph.media.films import ffmpeg, picture


@pytest.fixture
def gappy(tmp_path):
    """Pictures 1, 2 and 5; each as grey as ten times its number."""
    (tmp_path / "shot").mkdir()
    for number in (1, 2, 5):
        Image.new("RGB", (40, 30), (10 * number,) * 3).save(tmp_path / "shot" / f"a{number}.png")
    return str(tmp_path / "shot")


def test_missing_pictures_are_filled_held_or_refused(gappy):
    footage = open_footage(gappy, Fraction(10))
    assert footage.times.starts == (0, Fraction(1, 10), Fraction(4, 10))
    assert (footage.times.end, footage.times.fps) == (Fraction(1, 2), None)
    assert "without number 3-4; they are made from their neighbours" in footage.notices[0]
    held = open_footage(gappy, Fraction(10), "hold")
    assert held.times == Times.even(5, Fraction(10))
    assert [int(frame[0, 0, 0]) for frame in held.frames] == [10, 20, 20, 20, 50]
    assert "the picture before is held" in held.notices[0]
    with pytest.raises(InputError, match="without number 3-4: --missing fill makes them"):
        open_footage(gappy, Fraction(10), "refuse")
    with pytest.raises(SettingsError, match="add --fps"):
        open_footage(gappy)


def gif(path, delays):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    frames = [Image.fromarray(np.roll(noise, shift, 1)) for shift in range(len(delays))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays, loop=0)
    return str(path)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_durations_of_animations_count(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    gif(path, [100] * 5 + [2000])
    name = str(path.rename(path.with_suffix(".apng")) if suffix == ".png" else path)
    footage = open_footage(name)
    assert (footage.times.fps, footage.times.end) == (10, Fraction(5, 2))
    assert footage.notices == (f"{name}: its last frame is held for 2 s",)
    assert len(list(footage.frames)) == 6


@pytest.mark.parametrize("delay", [70, 130, 140])
@pytest.mark.parametrize("count", [2, 7])
def test_gifs_of_one_delay_are_even(tmp_path, delay, count):
    footage = open_footage(gif(tmp_path / "a.gif", [delay] * count))
    assert footage.times == Times.even(count, Fraction(1000, delay))
    assert footage.notices == ()


def test_what_is_left_out_and_what_takes_long_is_told(tmp_path, gappy):
    Image.new("RGB", (40, 30)).save(tmp_path / "shot" / "title.jpg")
    assert f"{gappy}: left out are title.jpg" in open_footage(gappy, Fraction(10)).notices
    path = tmp_path / "a.mkv"
    ffmpeg(
        *picture(1),
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        "-vf",
        "setpts='PTS+gte(N,12)*3600/TB'",
        "-fps_mode",
        "vfr",
        path,
    )
    notices = open_footage(str(path)).notices
    assert any("on it shows one frame for 3600" in notice for notice in notices)
    assert any("no longer last as long" in notice for notice in open_footage(str(path), Fraction(24)).notices)


def test_uneven_films_are_taken_by_their_stamps_or_a_given_rate(tmp_path):
    path = tmp_path / "a.mp4"
    ffmpeg(*picture(1), "-vf", "select='not(between(n,4,12))'", "-fps_mode", "vfr", path)
    footage = open_footage(str(path))
    assert footage.times.fps is None
    assert footage.times.starts[3:5] == (Fraction(3, 24), Fraction(13, 24))
    assert footage.times.end == 1
    assert "15 frames come at uneven times, 15.000 a second on average" in footage.notices[0]
    assert open_footage(str(path), Fraction(24)).times == Times.even(15, Fraction(24))
