"""Times as people write them."""

from fractions import Fraction

import pytest

from morph.errors import SettingsError
from pipelines.request.clip import clip_of
from pipelines.request.options.values import keys
from pipelines.request.settings import Settings, changed, layered
from pipelines.request.times import frames_of, parse_time


def test_times_are_seconds_or_frames():
    assert [parse_time(text, Fraction(24)) for text in ("2.5", "2.5s", "60f", "0")] == [60, 60, 60, 0]
    assert parse_time("4s", Fraction(24000, 1001)) == 96
    with pytest.raises(SettingsError, match=r"write 2\.5 or 2\.5s for seconds"):
        parse_time("4 min", Fraction(24))


@pytest.mark.parametrize("repeat", ["once", "loop", "ping-pong"])
@pytest.mark.parametrize(
    ("duration", "fps", "length"), [("4s", 24, 96), ("10f", 25, 10), ("0.5", "24000/1001", 12)]
)
def test_a_film_is_as_long_as_it_is_asked_to_be(repeat, duration, fps, length):
    settings = changed(Settings(), {"duration": duration, "fps": fps, "repeat": repeat})
    assert clip_of(["a.png", "b.png"], (), settings).length == length


def test_frames_and_duration_take_one_anothers_place():
    settings = changed(Settings(), {"duration": "2s"})
    assert settings.frames == 48
    assert changed(settings, {"fps": 30}).frames == 60
    assert (changed(settings, {"frames": 9}).frames, changed(settings, {"frames": 9}).duration) == (9, "")
    assert changed(Settings(), keys(settings)) == settings  # as a recipe has them
    with pytest.raises(SettingsError, match="frames is 9, but duration is 2s, which is 48 frames: leave one"):
        changed(Settings(), {"frames": 9, "duration": "2s"})
    with pytest.raises(SettingsError, match="duration: time 'long'"):
        changed(Settings(), {"duration": "long"})
    with pytest.raises(SettingsError, match="frames is 0"):
        changed(Settings(), {"duration": "0s"})
    assert layered({"frames": "9", "seed": "1"}, {"duration": "2s"}) == {"seed": "1", "duration": "2s"}
    assert layered({"duration": "2s"}, {"frames": "9", "fps": "30"}) == {"frames": "9", "fps": "30"}
    assert frames_of("11f", Fraction(24), back=True) == 6
