"""Timelines read back, by OpenTimelineIO and by plain parsing."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from xml.etree import ElementTree

import numpy as np
import opentimelineio as otio
import pytest

from morph.media.cut import Cut, Marker, Media, Movie, NumberedStills, PartMovies, movie_frames, parts_from
from morph.media.film import open_film
from morph.media.pattern import StillPattern
from morph.media.target import Stream
from morph.media.timecode import Timecode
from morph.media.timeline import write_timeline
from morph.media.video import VideoWriter
from pipelines.output.targets import target_for
from tests.morph.media.cuts import (
    CLOCKS,
    FILM,
    MARKERS,
    NTSC,
    PARTS,
    SIZE,
    STRANGE,
    cut_of,
    events,
    frames_in,
    media_in,
    movies_in,
    read,
    span,
)


@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
def test_otio_points_at_every_frame_once(tmp_path: Path, fps: Fraction, mark: str) -> None:
    media = frames_in(tmp_path / "frames")
    cut = cut_of(media, fps, mark)
    write_timeline(tmp_path / "cut.otio", cut)
    timeline = read(tmp_path / "cut.otio", cut)

    assert timeline.name == "Morph"
    start = timeline.global_start_time
    assert Fraction(start.rate).limit_denominator(1001) == fps
    assert start.value == cut.start.frame
    assert start.to_timecode(start.rate, mark == ";") == f"01:00:00{mark}00"
    (track,) = timeline.tracks
    assert track.kind == "Video"
    shown = []
    for clip, part in zip(track, PARTS, strict=True):
        assert clip.name == part.name
        assert span(clip.range_in_parent()) == (part.first, part.length)
        assert span(clip.source_range) == (1001 + part.first, part.length)
        reference = clip.media_reference
        assert isinstance(reference, otio.schema.ImageSequenceReference)
        assert reference.rate == float(fps)
        # Everything around a part is its handles.
        assert span(clip.available_range()) == (1001, 16)
        first, last = reference.frame_range_for_time_range(clip.source_range)
        shown += range(first, last + 1)
        for number in range(reference.number_of_images_in_sequence()):
            assert (tmp_path / unquote(reference.target_url_for_image_number(number))).is_file()
        for offset in range(part.length):
            when = clip.source_range.start_time + otio.opentime.RationalTime(offset, float(fps))
            assert reference.frame_for_time(when) == first + offset
    assert shown == list(range(1001, 1017))
    assert [media.path(frame).name for frame in (0, 15)] == ["frame.1001.png", "frame.1016.png"]
    assert span(otio.opentime.TimeRange(duration=timeline.duration())) == (0, 16)
    markers = [(*span(marker.marked_range), marker.name, marker.comment) for marker in timeline.tracks.markers]
    assert markers == [(marker.frame, 1, marker.name, marker.comment) for marker in MARKERS]


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
def test_otio_over_movies(tmp_path: Path, fps: Fraction, mark: str, stamped: bool) -> None:
    movies = movies_in(tmp_path / "movies", 2, stamped)
    for media in (movies, Movie(movies.paths[0], stamped)):
        cut = cut_of(media, fps, mark)
        write_timeline(tmp_path / "cut.otio", cut)
        start = cut.start.frame if stamped else 0
        held = movie_frames(PARTS, 2) if media is movies else [range(16)] * 3
        clips = read(tmp_path / "cut.otio", cut).tracks[0]
        for number, (clip, part, frames) in enumerate(zip(clips, PARTS, held, strict=True)):
            offset = start if stamped else -frames.start
            assert span(clip.source_range) == (part.first + offset, part.length)
            assert span(clip.available_range()) == (frames.start + offset, len(frames))
            path = tmp_path / unquote(clip.media_reference.target_url)
            assert path == (movies.paths[number] if media is movies else movies.paths[0])


def test_movies_hold_the_handles_there_are() -> None:
    assert movie_frames(PARTS, 0) == (range(5), range(5, 8), range(8, 16))
    assert movie_frames(PARTS, 4) == (range(9), range(1, 12), range(4, 16))
    assert movie_frames(PARTS, 100) == (range(16),) * 3
    with pytest.raises(ValueError, match="at least 0"):
        movie_frames(PARTS, -1)


def test_real_movies_of_parts_have_the_frames_that_a_timeline_states(tmp_path: Path) -> None:
    media = PartMovies(tuple(tmp_path / f"{number}.mov" for number in range(3)), handles=2)
    for path, frames in zip(media.paths, movie_frames(PARTS, 2), strict=True):
        with VideoWriter(path, target_for(path), Stream(SIZE, FILM, 25)) as writer:
            for frame in frames:
                writer.write(np.full((SIZE[1], SIZE[0], 3), frame, np.uint8))
    cut = cut_of(media, FILM)
    for name in ("cut.otio", "cut.xml"):
        write_timeline(tmp_path / name, cut)
        clips = read(tmp_path / name, cut).tracks[0]  # the track is gone with its last name, and its clips with it
        assert len(clips) == 3
        for clip in clips:
            times = open_film(tmp_path / Path(unquote(urlsplit(clip.media_reference.target_url).path)).name).times
            assert span(clip.available_range()) == (0, len(times.starts))
            assert Fraction(clip.available_range().start_time.rate).limit_denominator(1001) == times.fps


@pytest.mark.parametrize("kind", [NumberedStills, Movie, PartMovies])
@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
def test_edl_cuts_where_the_clip_does(tmp_path: Path, fps: Fraction, mark: str, kind: type[Media]) -> None:
    cut = cut_of(media_in(tmp_path, kind), fps, mark)
    path = tmp_path / "cut.edl"
    write_timeline(path, cut)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["TITLE: Morph", f"FCM: {'DROP FRAME' if mark == ';' else 'NON-DROP FRAME'}"]

    reels = {
        NumberedStills: ["FRAME001"] * 3,
        Movie: ["MORPH001"] * 3,
        PartMovies: ["PART0001", "PART1002", "PART2003"],
    }[kind]
    ins = {NumberedStills: [1001, 1006, 1009], Movie: [0, 5, 8], PartMovies: [0, 2, 2]}[kind]
    start = cut.start.frame
    assert events(path, fps) == [
        (f"{n:03d}", reel, at, at + part.length, start + part.first, start + part.end)
        for n, (reel, at, part) in enumerate(zip(reels, ins, PARTS, strict=True), 1)
    ]
    # In drop-frame every time has its semicolon, else none.
    assert {text[8] for text in re.findall(r"\d\d:\d\d:\d\d[:;]\d\d", path.read_text())} == {mark}

    clips = read(path, cut).tracks[0]
    for clip, part, at, reel in zip(clips, PARTS, ins, reels, strict=True):
        assert clip.name == part.name
        assert span(clip.source_range) == (at, part.length)
        assert span(clip.range_in_parent()) == (part.first, part.length)
        assert clip.metadata["cmx_3600"]["reel"] == reel
        reference = clip.media_reference
        if kind is NumberedStills:
            assert reference.target_url_base == "frames"
            for number in range(reference.start_frame, reference.start_frame + part.length):
                assert (tmp_path / "frames" / f"{reference.name_prefix}{number}{reference.name_suffix}").is_file()
        else:
            assert (tmp_path / reference.target_url).is_file()


def test_edl_has_locators_at_record_times(tmp_path: Path) -> None:
    cut = cut_of(frames_in(tmp_path / "frames"), NTSC, ";", "00:00:59{}27")
    write_timeline(tmp_path / "cut.edl", cut)
    assert re.findall(r"^\* LOC: (.*)", (tmp_path / "cut.edl").read_text(), re.M) == [
        "00:00:59;27 RED     cat: a cat",
        "00:01:00;04 RED     dog",
        "00:01:00;07 RED     fox: a red fox",
        "00:01:00;14 RED     cat: a cat",
    ]
    # The adapter knows no locators in drop-frame.
    cut = cut_of(cut.media, FILM)
    write_timeline(tmp_path / "cut.edl", cut)
    clips = read(tmp_path / "cut.edl", cut).tracks[0]
    markers = [marker for clip in clips for marker in clip.markers]
    assert [marker.marked_range.start_time.value - 86400 for marker in markers] == [0, 5, 8, 15]
    assert [marker.name for marker in markers] == ["cat: a cat", "dog", "fox: a red fox", "cat: a cat"]


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("kind", [Movie, PartMovies])
@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
def test_xml_cuts_where_the_clip_does(
    tmp_path: Path, fps: Fraction, mark: str, kind: type[Media], stamped: bool
) -> None:
    cut = cut_of(replace(media_in(tmp_path, kind), stamped=stamped), fps, mark)
    path = tmp_path / "cut.xml"
    write_timeline(path, cut)
    held = movie_frames(PARTS, 2) if kind is PartMovies else (range(16),) * 3
    starts = [cut.start.frame + frames.start if stamped else 0 for frames in held]

    root = ElementTree.parse(path).getroot()
    assert (root.tag, root.get("version")) == ("xmeml", "4")
    sequence = root.find("sequence")
    number = int if fps.denominator == 1 else lambda text: Fraction(int(text) * 1000, 1001)
    for rate in root.iter("rate"):
        assert number(rate.findtext("timebase")) == fps
        assert rate.findtext("ntsc") == ("FALSE" if fps.denominator == 1 else "TRUE")
    assert sequence.findtext("timecode/string") == f"01:00:00{mark}00"
    assert sequence.findtext("timecode/displayformat") == ("DF" if mark == ";" else "NDF")
    assert sequence.findtext("media/video/format/samplecharacteristics/width") == "8"
    items = sequence.findall("media/video/track/clipitem")
    for item, part, frames in zip(items, PARTS, held, strict=True):
        edges = [int(item.findtext(tag)) for tag in ("start", "end", "in", "out", "duration")]
        shift = -frames.start
        assert edges == [part.first, part.end, part.first + shift, part.end + shift, len(frames)]
    files = [item.find("file") for item in items]
    assert [file.get("id") for file in files] == [f"file-{n if kind is PartMovies else 1}" for n in (1, 2, 3)]
    for file, start, frames in zip([file for file in files if len(file)], starts, held, strict=False):
        url = urlsplit(file.findtext("pathurl"))
        assert (url.scheme, url.netloc, (tmp_path / unquote(url.path)).is_file()) == ("", "", True)
        assert int(file.findtext("timecode/frame")) == start
        assert Timecode.parse(file.findtext("timecode/string"), fps).frame == start
        assert int(file.findtext("duration")) == len(frames)

    timeline = read(path, cut)
    assert timeline.global_start_time.value == cut.start.frame
    for clip, part, start, frames in zip(timeline.tracks[0], PARTS, starts, held, strict=True):
        assert (clip.name, span(clip.range_in_parent())) == (part.name, (part.first, part.length))
        assert span(clip.source_range) == (start + part.first - frames.start, part.length)
        assert span(clip.available_range()) == (start, len(frames))
        assert Fraction(clip.source_range.start_time.rate).limit_denominator(1001) == fps
    found = [(round(marker.marked_range.start_time.value), marker.name) for marker in timeline.tracks.markers]
    assert found == [(marker.frame, marker.name) for marker in MARKERS]
    assert [note.findtext("comment") for note in sequence.iter("marker")] == [one.comment for one in MARKERS]


def test_relative_media_survive_a_move(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / STRANGE).mkdir(parents=True)
    beside = frames_in(home)
    below = frames_in(home / STRANGE / "a:b")
    for name, media in (("beside.otio", beside), ("below.otio", below)):
        write_timeline(home / name, cut_of(media))
    shutil.move(home, tmp_path / "moved")
    for name, base in (("beside.otio", ""), ("below.otio", f"{STRANGE}/a:b/")):
        timeline = read(tmp_path / "moved" / name, cut_of(beside))
        assert len(timeline.tracks[0]) == 3
        for clip in timeline.tracks[0]:
            reference = clip.media_reference
            assert unquote(reference.target_url_base) == base
            assert urlsplit(reference.target_url_base).path == reference.target_url_base  # nothing but a path
            urls = [reference.target_url_for_image_number(number) for number in range(16)]
            assert all((tmp_path / "moved" / unquote(url)).is_file() for url in urls)


def test_media_elsewhere_are_absolute(tmp_path: Path, monkeypatch: Any) -> None:
    media = frames_in(tmp_path / "frames")
    (tmp_path / "edit").mkdir()
    monkeypatch.chdir(tmp_path / "edit")
    cut = cut_of(replace(media, stills=StillPattern(Path("../frames"))))
    write_timeline("cut.otio", cut)
    (clip, *_) = read(Path("cut.otio"), cut).tracks[0]
    assert clip.media_reference.target_url_base == f"{(tmp_path / 'frames').as_uri()}/"
    write_timeline("cut.edl", cut)
    assert f"* FROM FILE: {tmp_path}/frames/frame.[1001-1005].png" in Path("cut.edl").read_text().splitlines()


@pytest.mark.parametrize("suffix", [".otio", ".edl", ".xml"])
def test_strange_names_come_back(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / STRANGE
    movies = movies_in(folder)
    media = PartMovies(tuple(path.rename(path.with_name(f"{STRANGE}{path.name}")) for path in movies.paths))
    dirty = f"{STRANGE}\n002  AX V C\x00\ud800"
    clean = f"{STRANGE} 002  AX V C "
    parts = tuple(replace(part, name=dirty) for part in PARTS)
    cut = Cut(dirty, Fraction(24), SIZE, parts, media, (Marker(3, dirty, dirty),))
    write_timeline(folder / f"{STRANGE}{suffix}", cut)
    timeline = read(folder / f"{STRANGE}{suffix}", cut)
    expected = clean.strip() if suffix == ".edl" else clean
    assert timeline.name == (clean[:70].strip() if suffix == ".edl" else clean)
    for clip, path in zip(timeline.tracks[0], media.paths, strict=True):
        assert clip.name == expected
        url = clip.media_reference.target_url
        if suffix != ".edl":
            url = unquote(urlsplit(url).path)
        assert folder / url == path
    (marker,) = (timeline.tracks if suffix != ".edl" else timeline.tracks[0][0]).markers
    assert marker.name == {".edl": f"{clean}: {clean}".strip()}.get(suffix, clean)
    assert [entry for entry in folder.iterdir() if entry.name.startswith(".")] == []


def test_a_name_that_is_not_utf8_can_be_pointed_at(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    cut = cut_of(movies_in(folder))
    for suffix in (".otio", ".edl", ".xml"):
        write_timeline(tmp_path / f"cut{suffix}", cut)
    reference = read(tmp_path / "cut.otio", cut).tracks[0][0].media_reference
    assert tmp_path / os.fsdecode(unquote_to_bytes(reference.target_url)) == folder / "part 0.mov"
    pathurl = ElementTree.parse(tmp_path / "cut.xml").findtext(".//pathurl")
    assert tmp_path / os.fsdecode(unquote_to_bytes(pathurl)) == folder / "part 0.mov"


def test_reels_mean_nothing_else_and_are_never_alike(tmp_path: Path) -> None:
    names = ("black.mov", "bars.mov", "🦊.mov", "black 2.mov")
    for name in names:
        (tmp_path / name).touch()
    parts = parts_from((0, 1, 2, 3), 4, names)
    cut = Cut("", Fraction(24), SIZE, parts, PartMovies(tuple(tmp_path / name for name in names)))
    write_timeline(tmp_path / "cut.edl", cut)
    reels = [reel for _, reel, *_ in events(tmp_path / "cut.edl", Fraction(24))]
    assert reels == ["BLACK001", "BARS002", "MORPH003", "BLACK004"]


def test_one_frame_is_a_cut(tmp_path: Path) -> None:
    cut = Cut("one", Fraction(24), SIZE, parts_from((0,), 1, ("a",)), frames_in(tmp_path / "frames", 1))
    for suffix in (".otio", ".edl"):
        write_timeline(tmp_path / f"cut{suffix}", cut)
        assert read(tmp_path / f"cut{suffix}", cut).duration().value == 1


def test_opentimelineio_is_imported_by_who_writes_one() -> None:
    code = "import sys, morph.media.timeline; assert not {'opentimelineio', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
