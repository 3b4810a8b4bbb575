"""What no timeline can say is refused in one line, and nothing is lost."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.cut import Cut, Marker, Media, Movie, NumberedStills, Part, PartMovies
from morph.media.timeline import check_timeline, write_timeline
from tests.morph.media.cuts import FILM, PARTS, SIZE, cut_of, frames_in, media_in, read


def test_a_rate_without_timecode_has_otio_alone(tmp_path: Path) -> None:
    fps = Fraction(25, 2)
    cut = Cut("", fps, SIZE, PARTS, frames_in(tmp_path / "frames"))
    write_timeline(tmp_path / "cut.otio", cut)
    timeline = read(tmp_path / "cut.otio", cut)
    assert timeline.global_start_time is None
    assert timeline.duration() == otio.opentime.RationalTime(16, 12.5)
    for suffix in (".edl", ".xml"):
        with pytest.raises(SettingsError, match=r"25/2 fps has no timecode.*or an \.otio timeline"):
            check_timeline(tmp_path / f"cut{suffix}", Movie, fps)


@pytest.mark.parametrize(
    ("name", "kind", "parts", "why"),
    [
        ("cut.aaf", NumberedStills, 1, "no timeline is called .aaf: use .otio, .edl, .xml"),
        ("cut", Movie, 1, "no timeline is called that"),
        ("cut.xml", NumberedStills, 1, "cannot point at numbered frames: write movies, or use .otio or .edl"),
        ("cut.edl", NumberedStills, 1000, "at most 999 events and this has 1000"),
        ("none/cut.otio", NumberedStills, 1, "there is no folder"),
    ],
)
def test_what_no_timeline_can_be_is_refused_before_rendering(
    tmp_path: Path, name: str, kind: type[Media], parts: int, why: str
) -> None:
    with pytest.raises(InputError, match=why) as caught:
        check_timeline(tmp_path / name, kind, Fraction(24), parts)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_written_passes_the_check(tmp_path: Path) -> None:
    for suffix in (".otio", ".edl", ".XML"):
        check_timeline(tmp_path / f"cut{suffix}", Movie, FILM, 999)
    check_timeline(tmp_path / "cut.otio", NumberedStills, Fraction(24), 5000)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    media = frames_in(tmp_path / "frames")
    (tmp_path / "frames" / "frame.1007.png").unlink()
    with pytest.raises(InputError, match=r"frame\.1007\.png, which is not there: render it first"):
        write_timeline(tmp_path / "cut.otio", cut_of(media))
    with pytest.raises(InputError, match=r"none\.mov, which is not there"):
        write_timeline(tmp_path / "cut.otio", cut_of(Movie(tmp_path / "none.mov")))
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_a_failed_write_leaves_the_old_timeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = cut_of(media_in(tmp_path, Movie))
    path = tmp_path / "cut.otio"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EncodeError, match=r"cut\.otio: cannot be written \(No space left on device\)"):
        write_timeline(path, cut)
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cut.otio", "morph.mov"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parts": ()}, "without gaps"),
        ({"parts": (Part("", 1, 15),)}, "without gaps"),
        ({"parts": (Part("", 0, 5), Part("", 6, 10))}, "without gaps"),
        ({"parts": (Part("", 0, 0),)}, "without gaps"),
        ({"markers": (Marker(16, ""),)}, "outside the 16 frames"),
        ({"markers": (Marker(-1, ""),)}, "outside the 16 frames"),
        ({"fps": Fraction(25)}, "the start counts 24 fps, the cut 25"),
        ({"media": PartMovies((Path("a.mov"),))}, "3 parts need as many movies, there are 1"),
    ],
)
def test_what_is_no_cut_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(cut_of(Movie(Path("a.mov"))), **changes)
