"""What cannot be written is refused in one line, before anything is made."""

import tempfile
import wave
from fractions import Fraction

import numpy as np
import pytest

from morph.errors import InputError, SettingsError
from morph.media.stills import FrameFolder
from morph.media.target import Stream
from pipelines.output.outputs import Output
from pipelines.output.targets import load_target, target_names
from pipelines.request.settings import Encode

SIZE, FPS = (256, 128), Fraction(24)
GOOD = """
about = "proxy"
suffixes = [".mov"]
arguments = ["-c:v", "prores_ks"]
smallest = [1, 1]
fastest = 60
[pixels]
plain = "yuv422p10le"
"""


def refusal(path, stream=None, kind=SettingsError, **encode):
    """The one line that an output is refused with; its folder stays as it is."""
    before = sorted(path.parent.glob("*")) if path.parent.is_dir() else None
    with pytest.raises(kind) as caught:
        Output.of(path, stream or Stream(SIZE, FPS, 3), Encode(**encode)).check()
    assert (sorted(path.parent.glob("*")) if path.parent.is_dir() else None) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("preset", ["h264", "hevc", "av1", "prores-hq", "dnxhr-hqx", "gif"])
def test_transparency_where_there_is_none(tmp_path, preset):
    path = tmp_path / f"a{load_target(preset).suffixes[0]}"
    stream = Stream(SIZE, Fraction(25), 3, alpha=True)
    assert f"{preset} has no transparency: use" in refusal(path, stream, preset=preset, alpha="keep")


def test_transparency_that_no_keyframe_has(tmp_path):
    for name in ("a.webm", "frames", "a.%04d.png"):
        assert "not all keyframes" in refusal(tmp_path / name, alpha="keep")


@pytest.mark.parametrize("preset", [name for name in target_names() if "42" in load_target(name).pixels.plain])
def test_odd_sizes_are_never_changed_in_silence(tmp_path, preset):
    target = load_target(preset)
    path = tmp_path / f"a{target.suffixes[0]}"
    assert "use 258x130" in refusal(path, Stream((257, 129), FPS, 3), preset=preset) or "422" in target.pixels.plain
    assert "encode.odd=pad" in refusal(path, Stream((257, 130), FPS, 3), preset=preset)
    Output.of(path, Stream((257, 129), FPS, 3), Encode(preset=preset, odd="pad")).check()


@pytest.mark.parametrize("name", target_names())
def test_every_pairing_of_preset_and_suffix(tmp_path, name):
    target = load_target(name)
    for suffix in (".mp4", ".mov", ".mkv", ".webm", ".gif", ".apng", ".webp"):
        path = tmp_path / f"a{suffix}"
        if suffix in target.suffixes:
            Output.of(path, Stream(SIZE, FPS, 3), Encode(preset=name)).check()
        else:
            assert f"{name} does not go into {suffix}: use {target.suffixes[0]}" in refusal(path, preset=name)


@pytest.mark.parametrize("name", target_names())
def test_sizes_and_rates_beyond_the_limits(tmp_path, name):
    target = load_target(name)
    path = tmp_path / f"a{target.suffixes[0]}"
    (least_width, least_height), (width, height) = target.smallest, target.largest
    for size in ((width + 2, least_height + 1), (least_width + 1, height + 2)):
        assert f"{width}x{height} is the most" in refusal(path, Stream(size, FPS, 3), preset=name, odd="pad")
    for size in ((least_width - 2, 1000), (1000, least_height - 2)):
        if min(size) > 0:
            assert f"{least_width}x{least_height} is the least" in refusal(path, Stream(size, FPS, 3), preset=name)
    for fps in (Fraction(0), Fraction(-1), target.fastest + Fraction(1, 1000)):
        assert "must be above 0 and at most" in refusal(path, Stream(SIZE, fps, 3), preset=name)


@pytest.mark.parametrize(
    ("name", "encode", "reason"),
    [
        ("a.avi", {}, "unknown kind of file '.avi': use .mp4, .mov, .mkv, .webm, .gif"),
        ("a.avi", {"preset": "h264"}, "unknown kind of video '.avi'"),
        ("a.jpg", {}, "unknown kind of file '.jpg'"),
        ("a.png", {}, "every frame would have this name: write a.%04d.png"),
        ("a.mp4", {"preset": "prores"}, "there is no encode preset prores; there are apng, av1"),
        ("a.mp4", {"preset": "no.toml"}, "there is no encode preset no.toml"),
        ("a.mp4", {"preset": "./"}, "Is a directory"),
        ("a.mp4", {"preset": "a\0b"}, "cannot be read"),
        ("a.mp4", {"preset": "a" * 300}, "cannot be read"),
        ("frames", {"preset": "h264"}, "stills have no preset; leave out encode.preset=h264"),
        ("a.%04d.png", {"timecode": "01:00:00:00"}, "stills have no timecode"),
        ("a.####.exr", {"audio": "a.wav"}, "stills have no audio"),
        ("a.mkv", {"timecode": "01:00:00:00"}, "a .mkv has no timecode: use .mov or .mp4"),
        ("a.webm", {"timecode": "01:00:00:00"}, "a .webm has no timecode"),
        ("a.gif", {"timecode": "01:00:00:00"}, "a .gif has no timecode"),
        ("a.mov", {"timecode": "01:00:00"}, "write 01:00:00:00"),
        ("a.mov", {"timecode": "01:00:00;00"}, "drop-frame timecode"),
        ("a.mp4", {"timecode": "24:00:00:00"}, "the last hour is 23"),
        ("a.mp4", {"timecode": "00:00:00:24"}, "the last frame of a second is 23"),
    ],
)
def test_what_does_not_go_together(tmp_path, name, encode, reason):
    assert reason in refusal(tmp_path / name, kind=InputError, **encode)


def test_timecode_that_the_rate_does_not_have(tmp_path):
    for timecode, fps, reason in (
        ("00:01:00;00", Fraction(30000, 1001), "drop-frame leaves this number out"),
        ("01:00:00:00", Fraction(25, 2), "25/2 fps has no timecode"),
        ("01:00:00:00", Fraction(120), "has no timecode"),
    ):
        assert reason in refusal(tmp_path / "a.mov", Stream(SIZE, fps, 3), timecode=timecode)


def test_sound_where_there_is_none(tmp_path):
    sound = tmp_path / "a.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(8820))
    stream = Stream(SIZE, Fraction(25), 3)
    for suffix in (".gif", ".apng", ".webp"):
        assert f"a {suffix} has no sound" in refusal(tmp_path / f"a{suffix}", stream, audio=str(sound))
    Output.of(tmp_path / "a.mp4", stream, Encode(audio=str(sound))).check()


def test_places_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with FrameFolder(tmp_path / "old") as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    for name, reason in (
        ("no/a.mp4", "there is no folder"),
        ("file/a.mp4", "there is no folder"),
        ("n" * 252 + ".mp4", "too long"),
        ("no/frames", "there is no folder"),
        ("file", "a file is in the way"),
        ("old", "already holds frames"),
    ):
        assert reason in refusal(tmp_path / name, kind=InputError)
    Output.of(tmp_path / "old", Stream(SIZE, FPS, 3), Encode()).check(replace=range(2000))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("[pixels]", "[pixels"), "cannot be read"),
        (('fastest = 60\n[pixels]\nplain = "yuv422p10le"', 'pixels = "x"'), "pixels is 'x'; it must be a table"),
        (('[pixels]\nplain = "yuv422p10le"', ""), "pixels is missing"),
        (('about = "proxy"\n', ""), "about is missing"),
        (('"proxy"', "7"), "about is 7; it must be text"),
        (('[".mov"]', '".mov"'), "suffixes is '.mov'; it must be a list"),
        (('"prores_ks"', "1"), "arguments is ['-c:v', 1]; it must be a list"),
        (("[1, 1]", "[1]"), "smallest is [1]; it must be a list of two, each a whole number"),
        (("[1, 1]", "[1, true]"), "smallest is [1, True]"),
        (("60", '"60"'), "fastest is '60'; it must be a whole number"),
        (("60", "59.94"), "fastest is 59.94"),
        (("60", "60\ncodec = 1"), "there is no codec; known are about, alpha_arguments"),
        (("60", '60\nname = "x"'), "there is no name"),
        (("plain", "alpha"), "pixels.plain is missing"),
        (('10le"', '10le"\nnone = "x"'), "there is no pixels.none; known are alpha, deep, deep_alpha, plain"),
        (('".mov"', '".avi"'), "does not go into .mov: use .avi"),
        (("prores_ks", "libnothing"), "does not work: ffmpeg ended"),
        (("yuv422p10le", "yuv9"), "does not work: ffmpeg ended"),
        (("prores_ks", "libvpx-vp9"), "does not work: ffmpeg ended"),
        (('"prores_ks"', '"prores_ks", "-profile:v", "best"'), "does not work: ffmpeg ended"),
    ],
)
def test_broken_preset_files(tmp_path, change, reason):
    text = GOOD.replace(*change)
    assert text != GOOD
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert reason in refusal(tmp_path / "a.mov", preset=str(path))


def test_a_preset_file_works_and_its_limits_hold(tmp_path, monkeypatch):
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    (tmp_path / "tried").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tried"))
    Output.of(tmp_path / "a.mov", Stream(SIZE, FPS, 3, depth=16), Encode(preset=str(path))).check()
    assert list((tmp_path / "tried").iterdir()) == []
    assert "at most 60" in refusal(tmp_path / "a.mov", Stream(SIZE, Fraction(61), 3), preset=str(path))
    path.with_name("text.toml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal(tmp_path / "a.mov", preset=str(path.with_name("text.toml")))
