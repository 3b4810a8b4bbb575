"""What goes into a file of a name, and what cannot be written is refused in one line before anything is made."""

import wave
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from morph.errors import InputError
from morph.media.stills import FrameFolder, read_frames
from morph.media.target import Stream
from pipelines.output.outputs import Output
from pipelines.output.targets import load_target, target_names
from pipelines.request.encode import Encode
from tests.pipelines.conftest import CAT, RACCOON
from tests.pipelines.output.conftest import FILES, FPS, NTSC, SIZE, TARGETS, refusal, stream_of, write
from tests.readback import chart


def test_alpha_is_kept_where_it_can_be_and_dropped_when_told(tmp_path):
    transparent = Stream((256, 128), NTSC, 2, alpha=True)
    for preset, suffix in FILES:
        path = tmp_path / f"a{suffix}"
        kept = Output.of(path, transparent, Encode(preset=preset))
        assert kept.stream.alpha == bool(TARGETS[preset].pixels.alpha)
        laid = [notice for notice in kept.notices(transparent=True) if "laid on black" in notice]
        assert bool(laid) != kept.stream.alpha
        dropped = Output.of(path, transparent, Encode(preset=preset, alpha="drop"))
        assert not dropped.stream.alpha
        assert not any("laid on black" in notice for notice in dropped.notices(transparent=True))
    assert Output.of(tmp_path / "frames", transparent, Encode()).stream.alpha


def test_a_name_chooses_between_stills_and_video(tmp_path):
    (tmp_path / "there.mp4").mkdir()
    frame = chart()[:47, :63]
    for name in ("frames", "new.mp4/", "there.mp4", "shot/a.%04d.png"):
        path = f"{tmp_path}/{name}"
        output = Output.of(path, stream_of([frame]), Encode())
        assert output.target is None
        output.check()
        with output.open("recipe") as writer:
            written = writer.write(frame)
        assert np.array_equal(next(read_frames(path)), frame)
        with Image.open(written) as image:
            assert image.text == {"Comment": "recipe"}
    for name, preset in (("a.mp4", "h264"), ("a.MOV", "h264"), ("a.webm", "webm-vp9"), ("a.apng", "apng")):
        output = Output.of(tmp_path / name, Stream((64, 48), NTSC, 1), Encode())
        assert output.target == TARGETS[preset]
        assert write(tmp_path / name, [chart()]).is_file()


def test_notices_say_what_becomes_of_rate_recipe_and_depth(tmp_path):
    def text(name, fps, depth=8, **encode):
        stream = Stream((64, 48), Fraction(fps), 1, depth=depth)
        return " ".join(Output.of(tmp_path / name, stream, Encode(**encode)).notices())

    assert "1/100 s: at 24 fps a frame lasts 4 or 5 of them" in text("a.gif", 24)
    assert "41 or 42 of them" in text("a.webp", 24)
    assert "a frame lasts" not in text("a.gif", 25) + text("a.gif", 50) + text("a.webp", 25)
    assert "down to 10" in text("a.gif", 60)
    for name in ("a.gif", "a.webp", "a.apng"):
        assert "keeps no recipe" in text(name, 25)
    for name in ("frames", "a.mp4", "a.mov", "a.mkv", "a.webm"):
        assert text(name, 24) == ""
    for name, preset in (("a.mp4", "h264"), ("a.webm", "webm-vp9"), ("a.gif", "gif"), ("a.webp", "webp")):
        assert "keeps 8 of the 16 bits" in text(name, 25, 16, preset=preset)
    for name, preset in (("a.mp4", "hevc"), ("a.mov", "prores-hq"), ("a.mkv", "ffv1"), ("a.apng", "apng")):
        assert "16 bits" not in text(name, 25, 16, preset=preset)


def test_stills_in_a_folder_that_is_not_there_yet_can_be_planned(command, tmp_path):
    result = command("render", CAT, RACCOON, "-o", "shot/a.%04d.exr", "--depth", "16", "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []


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
        ("a.mp4", {"preset": "cinepak"}, "there is no encode preset cinepak; there are apng, av1"),
        ("a.mp4", {"preset": "no.toml"}, "there is no encode preset no.toml"),
        ("a.mp4", {"preset": "./"}, "is a folder; name an encode preset"),
        ("a.mp4", {"preset": "a\0b"}, "cannot be opened"),
        ("a.mp4", {"preset": "a" * 300}, "cannot be opened"),
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
