from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morph.errors import SettingsError
from morph.media.timecode import Timecode, counted_rate

FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
FAST = Fraction(60000, 1001)
DAY = 2589408
"""Frames in a day of drop-frame timecode at 30000/1001."""


def numbers(hours: range, rate: int, left_out: int) -> list[str]:
    """Every drop-frame timecode of some hours, by the rule itself: no arithmetic to get wrong."""
    return [
        f"{hour:02d}:{minute:02d}:{second:02d};{frame:02d}"
        for hour in hours
        for minute in range(60)
        for second in range(60)
        for frame in range(rate)
        if minute % 10 == 0 or second or frame >= left_out
    ]


@pytest.mark.parametrize(
    ("text", "fps", "frame"),
    [
        ("00:00:00:00", Fraction(24), 0),
        ("01:00:00:00", Fraction(24), 86400),
        ("01:00:00:00", FILM, 86400),
        ("23:59:59:24", Fraction(25), 2159999),
        ("00:00:01:00", Fraction(100), 100),
        ("00:01:00:00", NTSC, 1800),
        ("01:00:00:00", NTSC, 108000),
        ("00:00:59;29", NTSC, 1799),
        ("00:01:00;02", NTSC, 1800),
        ("00:10:00;00", NTSC, 17982),
        ("01:00:00;00", NTSC, 107892),
        ("23:59:59;29", NTSC, DAY - 1),
        ("00:01:00;04", FAST, 3600),
        ("01:00:00;00", FAST, 215784),
        ("01:00:00:00", FAST, 216000),
    ],
)
def test_known_values(text: str, fps: Fraction, frame: int) -> None:
    assert Timecode.parse(text, fps) == Timecode(fps, frame, drop=";" in text)
    assert str(Timecode(fps, frame, drop=";" in text)) == text


@given(st.integers(0, DAY - 1))
@settings(max_examples=2000, deadline=None)
def test_every_drop_frame_number_of_a_day_comes_back(frame: int) -> None:
    timecode = Timecode(NTSC, frame, drop=True)
    assert Timecode.parse(str(timecode), NTSC) == timecode


@pytest.mark.parametrize(("fps", "left_out"), [(NTSC, 2), (FAST, 4)])
def test_drop_frame_numbers_follow_the_rule(fps: Fraction, left_out: int) -> None:
    rate = counted_rate(fps)
    first = numbers(range(1), rate, left_out)
    hour = Timecode(fps, drop=True).day // 24
    assert len(first) == hour
    ten_minutes = first[: hour // 6]
    assert [str(Timecode(fps, frame, drop=True)) for frame in range(hour // 6)] == ten_minutes
    # Around the turn of every minute of the day, where numbers are left out.
    turns = [text for text in numbers(range(24), 1, 0) if text.endswith(":00;00")]
    assert len(turns) == 1440
    for minute, turn in enumerate(turns):
        left = left_out if minute % 10 else 0
        at = minute * 60 * rate - left_out * (minute - minute // 10) + left
        assert str(Timecode(fps, at, drop=True)) == f"{turn[:-2]}{left:02d}"
        if minute:
            before = Timecode(fps, at - 1, drop=True)
            assert str(before).endswith(f":59;{rate - 1}")
            assert Timecode.parse(str(before), fps) == before


@given(
    st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(60), Fraction(1), FILM, NTSC, FAST]),
    st.data(),
)
@settings(deadline=None)
def test_every_plain_number_comes_back(fps: Fraction, data: st.DataObject) -> None:
    timecode = Timecode(fps, data.draw(st.integers(0, 86400 * counted_rate(fps) - 1)))
    assert Timecode.parse(str(timecode), fps) == timecode


def test_a_day_starts_again_after_24_hours() -> None:
    assert str(Timecode.parse("23:59:59:23", FILM) + 1) == "00:00:00:00"
    assert str(Timecode.parse("23:59:59;29", NTSC) + 3) == "00:00:00;02"
    assert str(Timecode(Fraction(25)) + -1) == "23:59:59:24"
    assert Timecode(NTSC, drop=True).day == DAY
    with pytest.raises(ValueError, match="outside the 2589408 frames"):
        Timecode(NTSC, DAY, drop=True)


def test_drop_frame_keeps_up_with_the_clock() -> None:
    hour = Timecode.parse("01:00:00;00", NTSC).frame / NTSC
    assert abs(hour - 3600) < Fraction(1, 100)
    assert Timecode.parse("01:00:00:00", NTSC).frame / NTSC - 3600 == Fraction(36, 10)


@pytest.mark.parametrize(
    ("text", "fps", "why"),
    [
        ("00:01:00;00", NTSC, "leaves this number out: the minute begins with ;02"),
        ("00:59:00;01", NTSC, "leaves this number out"),
        ("00:01:00;03", FAST, "begins with ;04"),
        ("01:00:00;00", FILM, "drop-frame timecode"),
        ("01:00:00;00", Fraction(30), "drop-frame timecode"),
        ("00:00:00:24", FILM, "the last frame of a second is 23"),
        ("00:00:00:30", NTSC, "the last frame of a second is 29"),
        ("24:00:00:00", Fraction(24), "the last hour is 23"),
        ("00:60:00:00", Fraction(24), "the last minute is 59"),
        ("00:00:60:00", Fraction(24), "the last second is 59"),
        ("1:00:00:00", Fraction(24), "write 01:00:00:00"),
        ("00:00:00", Fraction(24), "write 01:00:00:00"),
        ("-1:00:00:00", Fraction(24), "write 01:00:00:00"),
        ("٠١:00:00:00", Fraction(24), "write 01:00:00:00"),
        ("", Fraction(24), "write 01:00:00:00"),
        ("01:00:00:00", Fraction(25, 2), "25/2 fps has no timecode"),
        ("01:00:00:00", Fraction("23.97"), "has no timecode"),
        ("01:00:00:00", Fraction(120), "has no timecode: use a whole rate up to 100"),
    ],
)
def test_what_is_no_timecode_is_refused(text: str, fps: Fraction, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        Timecode.parse(text, fps)
    assert "\n" not in str(caught.value)
