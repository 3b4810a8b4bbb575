"""The sound of timelines, read back by OpenTimelineIO and by plain parsing."""

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest

from morph.errors import SettingsError
from morph.media.cut import Media, Movie, NumberedStills, PartMovies, Sound
from morph.media.timecode import Timecode
from morph.media.timeline import check_timeline, write_timeline
from tests.morph.media.cuts import CLOCKS, PARTS, STRANGE, cut_of, events, media_in, movies_in, read, sound_in, span

KINDS = [NumberedStills, Movie, PartMovies]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
def test_otio_has_one_clip_of_sound_from_the_first_frame(
    tmp_path: Path, fps: Fraction, mark: str, kind: type[Media]
) -> None:
    for stamped in (False, True) if kind is Movie else (False,):
        media = media_in(tmp_path, kind)
        media = replace(media, stamped=True) if isinstance(media, Movie) and stamped else media
        cut = replace(cut_of(media, fps, mark), sound=sound_in(tmp_path, media, frames=20, fps=fps))
        write_timeline(tmp_path / "cut.otio", cut)
        timeline = read(tmp_path / "cut.otio", cut)
        pictures, heard = timeline.tracks
        assert (pictures.kind, heard.kind) == ("Video", "Audio")
        (clip,) = heard
        offset = cut.start.frame if stamped else 0
        assert span(clip.source_range) == (offset, 16)
        assert span(clip.available_range()) == (offset, 20)
        assert tmp_path / unquote(clip.media_reference.target_url) == cut.sound.path


def test_sound_that_ends_early_leaves_silence(tmp_path: Path) -> None:
    media = media_in(tmp_path, PartMovies)
    cut = replace(cut_of(media), sound=sound_in(tmp_path, media, frames=5))
    for suffix in (".otio", ".xml"):
        write_timeline(tmp_path / f"cut{suffix}", cut)
        timeline = read(tmp_path / f"cut{suffix}", cut)
        (clip,) = timeline.tracks[1]
        assert span(clip.range_in_parent()) == (0, 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_edl_has_an_event_of_sound(
    tmp_path: Path, fps: Fraction, mark: str, kind: type[Media], channels: int
) -> None:
    media = media_in(tmp_path, kind)
    cut = replace(cut_of(media, fps, mark), sound=sound_in(tmp_path, media, channels, fps=fps))
    path = tmp_path / "cut.edl"
    write_timeline(path, cut)
    assert [number for number, *_ in events(path, fps)] == ["002", "003", "004"]
    timeline = read(path, cut)
    tracks = {track.name: track for track in timeline.tracks}
    assert set(tracks) == ({"V", "A1"} if channels == 1 else {"V", "A1", "A2"})
    assert len(tracks["V"]) == len(PARTS)
    for name in tracks.keys() - {"V"}:
        (clip,) = tracks[name]
        assert tracks[name].kind == "Audio"
        assert clip.name == cut.sound.path.name
        assert span(clip.source_range) == (0, 16)
        assert tmp_path / clip.media_reference.target_url == cut.sound.path
        reels = {picture.metadata["cmx_3600"]["reel"] for picture in tracks["V"]}
        assert (clip.metadata["cmx_3600"]["reel"] in reels) == (kind is Movie)


def test_sound_counts_as_an_event() -> None:
    with pytest.raises(SettingsError, match="at most 999 events and this has 1000"):
        check_timeline("cut.edl", Movie, Fraction(24), 999 + 1)


@pytest.mark.parametrize("kind", [Movie, PartMovies])
@pytest.mark.parametrize(("fps", "mark"), CLOCKS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_xml_has_a_track_for_each_channel(
    tmp_path: Path, fps: Fraction, mark: str, kind: type[Media], channels: int
) -> None:
    media = media_in(tmp_path, kind)
    cut = replace(cut_of(media, fps, mark), sound=sound_in(tmp_path, media, channels, 20, fps))
    path = tmp_path / "cut.xml"
    write_timeline(path, cut)

    sequence = ElementTree.parse(path).getroot().find("sequence")
    audio = sequence.find("media/audio")
    assert audio.findtext("numOutputChannels") == str(channels)
    tracks = audio.findall("track")
    assert [track.findtext("outputchannelindex") for track in tracks] == [str(n + 1) for n in range(channels)]
    items = [track.find("clipitem") for track in tracks]
    assert [item.findtext("sourcetrack/trackindex") for item in items] == [str(n + 1) for n in range(channels)]
    for item in items:
        edges = [int(item.findtext(tag)) for tag in ("start", "end", "in", "out", "duration")]
        assert edges == [0, 16, 0, 16, 20]
        linked = [link.findtext("linkclipref") for link in item.findall("link")]
        assert linked == ([other.get("id") for other in items] if channels > 1 else [])
    ids = [item.get("id") for item in sequence.iter("clipitem")]
    assert len(set(ids)) == len(ids) == len(PARTS) + channels
    described = {file.get("id"): file for file in sequence.iter("file") if len(file)}
    file = described[items[0].find("file").get("id")]
    assert len(described) == (1 if kind is Movie else len(PARTS) + 1)
    assert (file.find("media/video") is not None) == (kind is Movie)
    assert file.findtext("media/audio/channelcount") == str(channels)
    assert file.findtext("media/audio/samplecharacteristics/samplerate") == "44100"
    assert [len(file.findall("media/audio")) for file in described.values()].count(1) == 1

    timeline = read(path, cut)
    heard = timeline.audio_tracks()
    assert len(heard) == {1: 1, 2: 1, 6: 6}[channels]  # two are a pair
    for track in heard:
        (clip,) = track
        assert span(clip.range_in_parent()) == (0, 16)
        assert span(clip.source_range) == (0, 16)
        assert tmp_path / unquote(urlsplit(clip.media_reference.target_url).path) == cut.sound.path
    assert len(timeline.video_tracks()) == 1


@pytest.mark.parametrize("suffix", [".otio", ".edl", ".xml"])
def test_what_lies_below_may_move_with_the_timeline(tmp_path: Path, suffix: str) -> None:
    home = tmp_path / "home"
    (home / STRANGE).mkdir(parents=True)
    movies = movies_in(home / STRANGE, handles=2)
    sound = Sound(home / STRANGE / f"{STRANGE}.wav", Fraction(1))
    sound.path.touch()
    cut = replace(cut_of(movies), sound=sound)
    write_timeline(home / f"cut{suffix}", cut)
    assert str(tmp_path) not in (home / f"cut{suffix}").read_text()
    shutil.move(home, tmp_path / "moved")
    timeline = read(tmp_path / "moved" / f"cut{suffix}", cut)
    urls = [clip.media_reference.target_url for track in timeline.tracks for clip in track]
    assert len(urls) == len(PARTS) + (2 if suffix == ".edl" else 1)
    for url in urls:
        assert urlsplit(url).scheme == ""
        assert (tmp_path / "moved" / (url if suffix == ".edl" else unquote(url))).is_file()


def test_sound_that_lies_elsewhere_is_named_in_full(tmp_path: Path) -> None:
    (tmp_path / "edit").mkdir()
    media = movies_in(tmp_path / "edit")
    cut = replace(cut_of(media), sound=sound_in(tmp_path, media))
    write_timeline(tmp_path / "edit" / "cut.xml", cut)
    root = ElementTree.parse(tmp_path / "edit" / "cut.xml").getroot()
    *parts, sound = [file.findtext("pathurl") for file in root.iter("file") if len(file)]
    assert parts == [f"./part%20{number}.mov" for number in range(3)]
    assert sound == "file://localhost" + (tmp_path / "a sound.wav").as_uri().removeprefix("file://")


def test_the_first_frame_of_sound_is_the_clips_first(tmp_path: Path) -> None:
    fps = Fraction(24)
    media = Movie(tmp_path / "a.mov", stamped=True)
    cut = replace(cut_of(media, fps), sound=sound_in(tmp_path, media))
    write_timeline(tmp_path / "cut.edl", cut)
    (line,) = [line for line in (tmp_path / "cut.edl").read_text().splitlines() if " AA " in line]
    times = [Timecode.parse(text, fps).frame for text in line.split()[-4:]]
    assert times == [86400, 86416, 86400, 86416]
