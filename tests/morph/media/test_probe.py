"""What a file says of itself."""

import re

import pytest

from morph.errors import InputError
from morph.media.film import open_film
from morph.media.probe import probe, read_comment
from tests.morph.media.films import SOUND, ffmpeg, picture

CHAPTERS = """;FFMETADATA1
title=A\\=b\\
[STREAM]
[CHAPTER]
TIMEBASE=1/1000
START=0
END=500
title=One
[CHAPTER]
TIMEBASE=1/1000
START=500
END=1000
title=Zwei\\; \\#2
"""


def test_streams_tags_and_chapters(tmp_path):
    (tmp_path / "tags.txt").write_text(CHAPTERS)
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:01,500\nhello\n")
    inputs = (*picture(), *SOUND, *SOUND, "-i", tmp_path / "s.srt", "-f", "ffmetadata", "-i", tmp_path / "tags.txt")
    maps = ("-map", 0, "-map", 1, "-map", 2, "-map", 3, "-map_metadata", 4, "-map_chapters", 4)
    path = tmp_path / "a.mkv"
    ffmpeg(*inputs, *maps, "-c:s", "srt", "-c:a:1", "flac", "-metadata:s:a:1", "language=fra", path)
    found = probe(path)
    assert [(track.index, track.kind, str(track)) for track in found.tracks] == [
        (0, "video", "h264"),
        (1, "audio", "vorbis"),
        (2, "audio", "flac (fra)"),
        (3, "subtitle", "subrip"),
    ]
    assert found.tags["title"] == "A=b\n[STREAM]"  # a tag's line that looks like another section is none
    assert [chapter["title"] for chapter in found.chapters] == ["One", "Zwei; #2"]
    assert (found.timecode, read_comment(path)) == ("", None)


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_timecode(tmp_path, suffix):
    ffmpeg(*picture(0.2, "30000/1001"), "-timecode", "01:00:00;02", tmp_path / f"a{suffix}")
    assert probe(tmp_path / f"a{suffix}").timecode == "01:00:00;02"


def test_what_is_no_film_is_named_in_our_words(tmp_path):
    ffmpeg(*picture(0.2), tmp_path / "whole.mp4")
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:2000])
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'whole.mp4'}'\n")
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "text.mkv").write_bytes(b"\x1a\x45\xdf\xa3no film")
    ffmpeg(*picture(0.1), "-frames:v", 1, tmp_path / "a.png")
    for name, reason in (
        ("cut.mp4", "no index is in it"),
        ("list.mp4", f"rewrap it: ffmpeg -i {tmp_path}/list.mp4 -c copy {tmp_path}/list.mkv"),
        ("a.png", "not opened"),
        ("text.mp4", "no index is in it"),
        ("text.mkv", "it is damaged"),
        ("none.mp4", "no such video"),
    ):
        with pytest.raises(InputError, match=re.escape(reason)) as caught:
            probe(tmp_path / name)
        assert "0x" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "title",
    ["about [error] handling", "x] n:   3 pts:    4", "config in time_base: 1/0, frame_rate: 1/1", "[CHAPTER]"],
)
def test_tags_are_no_words_of_ffmpeg(tmp_path, title):
    path = tmp_path / "[error] a.mkv"
    ffmpeg(*picture(0.2), "-metadata", f"title={title} Closed Captions", path)
    assert probe(path).tags["title"] == f"{title} Closed Captions"
    film = open_film(path)
    assert (len(film.times.starts), film.notices) == (5, ())


def test_keys_and_long_tags(tmp_path):
    (tmp_path / "tags.txt").write_text(";FFMETADATA1\na\\=b=c\ntitle=" + "x" * 2_000_000)
    path = tmp_path / "a.mkv"
    ffmpeg(*picture(0.1), "-f", "ffmetadata", "-i", tmp_path / "tags.txt", "-map_metadata", 1, path)
    assert probe(path).tags["a=b"] == "c"
    assert len(probe(path).tags["title"]) == 2_000_000
