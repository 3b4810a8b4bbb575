"""What goes along beside new pictures, compared with what was there."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from morph.media.carried import Carried
from morph.media.film import open_film
from morph.media.target import Stream
from morph.media.video import VideoWriter
from pipelines.output.targets import target_for
from tests.morph.media.films import SOUND, ffmpeg, flash_and_click, picture, streams

RATE = Fraction(48)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds, two sounds, subtitles, chapters, tags, a font and a cover."""
    folder = tmp_path_factory.mktemp("film")
    (folder / "s.srt").write_text("1\n00:00:00,100 --> 00:00:01,500\nhello\n")
    (folder / "a.ttf").write_bytes(b"a font")
    (folder / "tags.txt").write_text(
        ";FFMETADATA1\ntitle=Film\\; one\nartist=Me\ncomment=mine\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One"
    )
    inputs = (*picture(), *SOUND, "-f", "lavfi", "-i", "sine=d=2", "-i", folder / "s.srt")
    tags = ("-f", "ffmetadata", "-i", folder / "tags.txt", "-map_metadata", 4, "-map_chapters", 4)
    maps = ("-map", 0, "-map", 1, "-map", 2, "-map", 3, "-metadata:s:a:1", "language=fra")
    font = ("-attach", folder / "a.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font")
    ffmpeg(*inputs, *tags, *maps, *font, "-c:a", "aac", "-c:s", "srt", folder / "a.mkv")
    return folder / "a.mkv"


def rewritten(source: Path, output: Path) -> Carried:
    """The film's pictures twice as fast as frames, which keeps its length, and what goes along."""
    opened = open_film(source)
    carried = Carried.of(opened, output, RATE)
    frames = [frame for frame in opened.frames() for _ in range(2)]
    stream = Stream((frames[0].shape[1], frames[0].shape[0]), RATE, len(frames), aspect=opened.look.aspect)
    timecode = carried.timecode
    with VideoWriter(output, target_for(output), stream, "recipe", carried=carried, timecode=timecode) as writer:
        for frame in frames:
            writer.write(frame)
    return carried


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_nothing_is_dropped_without_being_named(tmp_path, film, suffix):
    output = tmp_path / f"b{suffix}"
    carried = rewritten(film, output)
    found = streams(output)
    assert [(kind, language) for kind, _, language in found if kind in ("audio", "subtitle")] == [
        ("audio", "und"),
        ("audio", "fra"),
        ("subtitle", "und"),
    ]
    with av.open(str(output)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        assert (tags["title"], tags["artist"], tags["comment"]) == ("Film; one", "Me", "recipe")
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]
    said = " ".join(carried.notices)
    copied = suffix != ".webm" and suffix in (".mkv", ".mp4", ".mov")
    assert ("sound aac as it is, sound aac (fra) as it is" in said) == copied
    assert ("a.ttf" in said.partition("not taken into")[2]) == (suffix != ".mkv")
    assert any(kind == "attachment" for kind, *_ in found) == (suffix == ".mkv")
    flash, click = flash_and_click(output)
    assert abs(flash - click) <= 1 / 24


def test_what_a_gif_or_a_folder_cannot_hold_is_named(tmp_path, film):
    for output in (tmp_path / "b.gif", tmp_path / "stills"):
        (said,) = Carried.of(open_film(film), output, RATE).notices
        for left in ("sound aac, sound aac (fra)", "subtitles subrip", "a.ttf", "tag artist", "1 chapters"):
            assert left in said
        assert str(output) in said


@pytest.mark.parametrize("late", ["picture", "sound"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_flash_and_click_stay_together(tmp_path, suffix, late):
    path, cut, output = tmp_path / "a.mp4", tmp_path / "cut.mp4", tmp_path / f"b{suffix}"
    if late == "picture":
        ffmpeg(*picture(), *SOUND, "-c:a", "aac", "-g", 12, path)
        ffmpeg("-i", path, "-ss", 0.3, "-c", "copy", cut)
    else:
        ffmpeg(*picture(flash=18), "-itsoffset", -0.25, *SOUND, "-c:a", "aac", cut)
    rewritten(cut, output)
    before, after = flash_and_click(cut), flash_and_click(output)
    assert abs((after[0] - after[1]) - (before[0] - before[1])) <= 1 / 24
    assert abs(after[0] - after[1]) <= 1 / 24


@pytest.mark.parametrize(
    ("rate", "new", "code", "expected"),
    [
        ("30000/1001", Fraction(60000, 1001), "01:00:00;02", "01:00:00;04"),
        ("24", Fraction(48), "10:20:30:12", "10:20:30:24"),
        ("25", Fraction(50), "00:00:01:05", "00:00:01:10"),
        ("30000/1001", Fraction(25), "01:00:00;00", "01:00:00:00"),
    ],
)
def test_timecode_is_that_of_the_same_moment(tmp_path, rate, new, code, expected):
    ffmpeg(*picture(0.2, rate), "-timecode", code, tmp_path / "a.mov")
    opened = open_film(tmp_path / "a.mov")
    assert Carried.of(opened, tmp_path / "b.mov", new).timecode == expected
    left = Carried.of(opened, tmp_path / "b.mkv", new)
    assert left.timecode == ""
    assert f"timecode {code}" in left.notices[-1]


def test_timecode_counts_frames_and_no_fields(tmp_path):
    fields = "tinterlace=interleave_top,setfield=tff"
    coding = ("-c:v", "libx264", "-x264opts", "tff=1", "-flags", "+ilme+ildct", "-pix_fmt", "yuv420p")
    ffmpeg(*picture(0.5, "50"), "-vf", fields, *coding, "-timecode", "01:00:00:20", tmp_path / "a.mov")
    opened = open_film(tmp_path / "a.mov")
    assert (opened.rate, opened.times.fps) == (25, 50)
    for rate, code in ((25, "01:00:00:20"), (50, "01:00:00:40")):
        assert Carried.of(opened, tmp_path / "b.mov", Fraction(rate)).timecode == code


def test_a_track_that_does_not_go_in_is_named_and_the_others_do(tmp_path):
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:01,500\nhello\n")
    inputs = (*picture(), "-f", "lavfi", "-i", "sine=d=2:r=192000", *SOUND, "-i", tmp_path / "s.srt")
    maps = ("-map", 0, "-map", 1, "-map", 2, "-map", 3, "-c:a:0", "truehd", "-strict", -2, "-c:a:1", "aac")
    ffmpeg(*inputs, *maps, tmp_path / "a.mkv")
    carried = rewritten(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert "sound truehd as it is, sound aac as it is, subtitles" in carried.notices[0]
    assert [codec for kind, codec, _ in streams(tmp_path / "b.mkv") if kind == "audio"] == ["truehd", "aac"]
    carried = rewritten(tmp_path / "a.mkv", tmp_path / "b.webm")
    assert "sound truehd encoded again" in carried.notices[0]


def test_tags_that_end_in_a_backslash_and_when_it_was_made(tmp_path):
    made = "2020-02-03T04:05:06.000000Z"
    tags = ("-metadata", "title=C:\\", "-metadata", "artist=Bob", "-metadata", f"creation_time={made}")
    ffmpeg(*picture(0.2), *tags, "-metadata", "comment=mine", "-metadata", "shade=blue", tmp_path / "a.mkv")
    for suffix in (".mkv", ".mp4", ".mov"):
        carried = rewritten(tmp_path / "a.mkv", tmp_path / f"b{suffix}")
        found = {key.lower(): value for key, value in av.open(str(tmp_path / f"b{suffix}")).metadata.items()}
        assert (found["title"].rstrip(), found["artist"]) == ("C:\\", "Bob")
        assert "its comment" in carried.notices[-1]
        assert ("tag shade" in carried.notices[-1]) == ("shade" not in found) == (suffix != ".mkv")
        assert found.get("creation_time", made) == made


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_the_shape_of_pixels_stays(tmp_path, suffix):
    ffmpeg(*picture(0.2), "-vf", "setsar=16/11", tmp_path / "a.mp4")
    carried = rewritten(tmp_path / "a.mp4", tmp_path / f"b{suffix}")
    assert open_film(tmp_path / f"b{suffix}").look.aspect == pytest.approx(
        16 / 11, rel=0.01
    )  # WebM rounds to pixels
    assert carried.notices == ()
    assert "its pixels' shape, 16:11" in Carried.of(open_film(tmp_path / "a.mp4"), tmp_path / "b", RATE).notices[0]


def test_the_sound_that_is_copied_is_the_same(tmp_path, film):
    rewritten(film, tmp_path / "b.mp4")
    sounds = []
    for path in (film, tmp_path / "b.mp4"):
        with av.open(str(path)) as container:
            sounds.append(b"".join(bytes(packet) for packet in container.demux(audio=1)))
    assert sounds[0] == sounds[1]
    assert np.frombuffer(sounds[0], np.uint8).size > 1000
