"""Sound from a file into videos: copied or coded again, as long as is asked, read back with PyAV."""

import os
import re
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.audio import Audio, channels_and_rate
from morph.media.target import Stream
from pipelines.output.outputs import Output
from pipelines.request.encode import Encode
from tests.readback import packets, read_back

RATE = 44100
STREAM = Stream((64, 48), Fraction(24), 24)
PACKET = 0.027
"""Seconds of the longest packet of MP3 and AAC, at which copied sound is cut."""
SOUNDS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "mp3", "aac": "aac"}
BECOMES = {
    ".mp4": {"wav": "aac", "flac": "aac", "mp3": "mp3", "aac": "aac"},
    ".mov": {"wav": "pcm_s16le", "flac": "pcm_s16le", "mp3": "pcm_s16le", "aac": "aac"},
    ".mkv": {"wav": "pcm_s16le", "flac": "flac", "mp3": "mp3", "aac": "aac"},
    ".webm": dict.fromkeys(SOUNDS, "opus"),
}
ALL = [(suffix, kind) for suffix in BECOMES for kind in SOUNDS]


def ffmpeg(*arguments):
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A tone of 440 Hz: "long" is twice as long as the video, "short" a third."""
    folder = tmp_path_factory.mktemp("sounds")
    for kind in SOUNDS:
        for name, seconds in (("long", 2), ("short", 0.333)):
            ffmpeg("-f", "lavfi", "-i", f"sine=440:r={RATE}:d={seconds}", folder / f"{name}.{kind}")
    return folder


def write(path, sound, fit="fit"):
    output = Output.of(path, STREAM, Encode(audio=str(sound), audio_fit=fit))
    output.check()
    with output.open("recipe") as writer:
        for index in range(STREAM.frames):
            writer.write(np.full((48, 64, 3), 20 + 8 * index, np.uint8))
    read = read_back(path)
    assert [round((frame.mean() - 20) / 8) for frame in read.frames] == list(range(STREAM.frames))
    assert read.comment == "recipe"
    return path


def decoded(path):
    """The codec and the samples, -1 to 1."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", "mono", RATE)
        frames = [part for frame in container.decode(stream) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        return stream.codec_context.codec.canonical_name, samples


def seconds_of_tone(samples):
    """How long 440 Hz is heard, in steps of 10 ms."""
    steps = samples[: len(samples) // 441 * 441].reshape(-1, 441)
    return np.count_nonzero(np.abs(steps).max(1) > 0.02) / 100


@pytest.mark.parametrize(("suffix", "kind"), ALL)
def test_long_sound_is_cut_where_the_video_ends(tmp_path, sounds, suffix, kind):
    path = write(tmp_path / f"a{suffix}", sounds / f"long.{kind}")
    codec, samples = decoded(path)
    assert codec == BECOMES[suffix][kind]
    assert 1 - 1 / RATE <= len(samples) / RATE <= 1 + 2 * PACKET
    exact = codec == "flac" or codec.startswith("pcm")
    assert not exact or len(samples) == RATE
    middle = samples[RATE // 4 : RATE // 4 * 3]
    assert np.abs(np.fft.rfft(middle)).argmax() * RATE / len(middle) == pytest.approx(440, abs=3)


@pytest.mark.parametrize(("suffix", "kind"), ALL)
@pytest.mark.parametrize("fit", ["fit", "loop"])
def test_short_sound_is_filled_with_silence_or_repeated(tmp_path, sounds, suffix, kind, fit):
    codec, samples = decoded(write(tmp_path / f"a{suffix}", sounds / f"short.{kind}", fit))
    assert len(samples) / RATE == pytest.approx(1, abs=PACKET)
    heard = seconds_of_tone(samples)
    # a bare .aac begins with 23 ms of silence, which nothing in it tells from sound
    assert heard == pytest.approx(0.35 if fit == "fit" else 1, abs=0.1 if kind == "aac" else 0.06)
    if fit == "fit":
        assert np.abs(samples[RATE // 2 : RATE - 2000]).max() < 1e-3
    if BECOMES[suffix][kind].startswith("pcm") or codec == "flac":
        assert len(samples) == RATE


@pytest.mark.parametrize(("suffix", "kind"), ALL)
@pytest.mark.parametrize(("name", "seconds"), [("long", 2), ("short", 0.333)])
def test_kept_sound_stays_as_long_as_it_is(tmp_path, sounds, suffix, kind, name, seconds):
    _, samples = decoded(write(tmp_path / f"a{suffix}", sounds / f"{name}.{kind}", "keep"))
    assert len(samples) / RATE == pytest.approx(seconds, abs=2 * PACKET)


@pytest.mark.parametrize(("suffix", "kind"), ALL)
def test_what_fits_is_copied_and_not_coded_again(tmp_path, sounds, suffix, kind):
    sound = sounds / f"long.{kind}"
    copied = BECOMES[suffix][kind] == SOUNDS[kind]
    for fit in ("keep", "fit"):
        path = write(tmp_path / f"{fit}{suffix}", sound, fit)
        assert Audio.from_file(sound, fit).copied(suffix, STREAM) == copied
        if not copied:
            continue
        if kind in ("wav", "flac"):  # no sample differs, whatever the packets are
            (_, found), (_, expected) = decoded(path), decoded(sound)
            assert np.array_equal(found, expected[: len(found)])
        else:
            found, expected = packets(path, "audio"), packets(sound, "audio")
            if kind == "aac":  # each packet of a bare .aac has a header that containers do without
                expected = [packet[-len(bare) :] for packet, bare in zip(expected, found, strict=False)]
            if kind == "mp3":  # the first packet of an MP3 may be a header without sound
                expected = expected[expected.index(found[0]) :]
            assert found == expected[: len(found)]


@pytest.mark.parametrize("kind", ["aac", "mp3"])
def test_durations_that_matroska_rounds_do_not_count(tmp_path, kind):
    for seconds, copied in ((1, True), (0.9, False)):
        ffmpeg("-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}", "-c:a", kind, tmp_path / f"a.{kind}")
        ffmpeg("-i", tmp_path / f"a.{kind}", "-c", "copy", tmp_path / "a.mkv")
        for source in (f"a.{kind}", "a.mkv"):
            assert Audio.from_file(tmp_path / source).copied(".mkv", STREAM) == copied


def test_depth_of_pcm_is_kept(tmp_path):
    sound = tmp_path / "a.wav"
    ffmpeg("-f", "lavfi", "-i", f"sine=440:r={RATE}:d=0.3,volume=0.3", "-c:a", "pcm_s24le", sound)
    for suffix in (".mov", ".mkv"):
        for fit in ("fit", "loop", "keep"):
            codec, samples = decoded(write(tmp_path / f"{fit}{suffix}", sound, fit))
            assert codec == "pcm_s24le"
            _, expected = decoded(sound)
            assert np.array_equal(samples[: len(expected)], expected)


@pytest.mark.parametrize("layout", ["2.1", "5.1(side)"])
@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "opus"), (".mkv", "pcm_s16le")])
def test_sound_of_many_channels(tmp_path, layout, suffix, codec):
    sound = tmp_path / "a.wav"
    ffmpeg("-f", "lavfi", "-i", f"sine=440:r={RATE}:d=2,aformat=channel_layouts={layout}", sound)
    for fit in ("fit", "loop", "keep"):
        assert decoded(write(tmp_path / f"{fit}{suffix}", sound, fit))[0] == codec


@pytest.mark.parametrize("codec", ["pcm_s8", "pcm_f32be", "pcm_f64be", "adpcm_ima_qt"])
def test_what_matroska_has_no_name_for_is_coded_again(tmp_path, codec):
    sound = tmp_path / "a.aiff"
    ffmpeg("-f", "lavfi", "-i", f"sine=440:r={RATE}:d=2", "-c:a", codec, sound)
    assert decoded(write(tmp_path / "a.mkv", sound))[0] == "flac"


def test_what_the_codec_does_not_take_is_refused_before_the_work(tmp_path):
    sound = tmp_path / "a.wav"
    channels = "|".join(f"c{index}=c0" for index in range(16))
    ffmpeg("-f", "lavfi", "-i", f"sine=440:r={RATE}:d=2,pan=16c|{channels}", sound)
    output = Output.of(tmp_path / "a.mp4", STREAM, Encode(audio=str(sound)))
    with pytest.raises(SettingsError, match=r"does not go into a \.mp4: make it a stereo \.wav") as caught:
        output.check()
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_sound_out_of_a_video(tmp_path, sounds):
    film = write(tmp_path / "a.mp4", sounds / "long.aac")
    assert Audio.from_file(film).codec == "aac"
    codec, samples = decoded(write(tmp_path / "b.mov", film))
    assert codec == "aac"
    assert len(samples) / RATE == pytest.approx(1, abs=2 * PACKET)


def test_timecode_and_sound_together(tmp_path, sounds):
    output = Output.of(
        tmp_path / "a.mov",
        STREAM,
        Encode(preset="prores-hq", audio=str(sounds / "long.wav"), timecode="01:00:00:00"),
    )
    with output.open() as writer:
        for _ in range(STREAM.frames):
            writer.write(np.full((48, 64, 3), 99, np.uint8))
    with av.open(str(output.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "data"]
        assert container.streams[2].metadata["timecode"] == "01:00:00:00"
        assert container.streams.audio[0].duration * container.streams.audio[0].time_base == 1
        assert len(list(container.decode(video=0))) == STREAM.frames


def test_the_notice_says_how_it_goes_in(tmp_path, sounds):
    for suffix, how in ((".mkv", "as it is"), (".webm", "encoded again")):
        output = Output.of(tmp_path / f"a{suffix}", STREAM, Encode(audio=str(sounds / "long.wav")))
        assert output.notices() == [f"{sounds / 'long.wav'}: 2.00 s of pcm_s16le, {how}"]


def test_lengths_and_codecs(sounds):
    for kind, codec in SOUNDS.items():
        audio = Audio.from_file(sounds / f"long.{kind}")
        assert audio.codec == codec
        assert float(audio.seconds) == pytest.approx(2, abs=2 * PACKET)


@pytest.mark.parametrize(
    "name", ["-i.wav", "a:b.wav", "http:x.wav", "concat:b.wav", "%03d.wav", "a\nb.wav", "🦊.wav"]
)
def test_strange_names(tmp_path, monkeypatch, sounds, name):
    monkeypatch.chdir(tmp_path)
    with open(name, "wb") as file:
        file.write((sounds / "long.wav").read_bytes())
    write(tmp_path / "a.mov", name)


def test_files_that_are_no_sound(tmp_path, sounds):
    tone, mute = sounds / "long.wav", tmp_path / "mute.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.2", mute)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "zero.wav").touch()
    (tmp_path / "header.wav").write_bytes(tone.read_bytes()[:44])
    (tmp_path / "cut.wav").write_bytes(tone.read_bytes()[:20001])
    (tmp_path / "concat.wav").write_text(f"ffconcat version 1.0\nfile '{tone}'\n")
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2,\n{tone}\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.mp3").write_bytes((tmp_path / "list.m3u8").read_bytes())
    (tmp_path / "list.sdp").write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"
    )
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    before = sorted(tmp_path.iterdir())
    for path in [*before, tmp_path / "missing.wav", tmp_path]:
        with pytest.raises(InputError, match=re.escape(str(path))) as caught:
            Output.of(tmp_path / "a.mp4", STREAM, Encode(audio=str(path)))
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_an_unknown_fit_is_refused(sounds):
    with pytest.raises(SettingsError, match="one of fit, loop, keep"):
        Audio.from_file(sounds / "long.wav", "stretch")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SOUNDS)
@pytest.mark.parametrize(
    ("name", "fit", "seconds"), [("long", "fit", 1), ("short", "fit", 1), ("short", "loop", 1)]
)
def test_sound_beside_the_video_is_as_long_as_it_is(sounds, tmp_path, kind, name, fit, seconds):
    Audio.from_file(sounds / f"{name}.{kind}", fit).write_wav(tmp_path / "a.wav", STREAM)
    codec, samples = decoded(tmp_path / "a.wav")
    assert codec == "pcm_s24le"
    assert len(samples) == pytest.approx(seconds * RATE, abs=2)
    heard = 1 if (name, fit) != ("short", "fit") else 0.333
    assert seconds_of_tone(samples) == pytest.approx(heard, abs=0.1)  # AAC begins with silence, so each round
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_sound_beside_the_video_may_stay_as_long_as_it_was(sounds, tmp_path):
    for name, seconds in (("long", 2), ("short", 0.333)):
        Audio.from_file(sounds / f"{name}.flac", "keep").write_wav(tmp_path / "a.wav", STREAM)
        assert float(Audio.from_file(tmp_path / "a.wav").seconds) == pytest.approx(seconds, abs=1e-4)


def test_a_disk_that_refuses_sound_leaves_what_was_there(sounds, tmp_path):
    sound = Audio.from_file(sounds / "long.wav")
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(EncodeError, match=r"a\.wav: cannot be written"):
        sound.write_wav(tmp_path / "a.wav", STREAM)
    with pytest.raises(EncodeError, match=r"a\.wav: its sound cannot be written"):
        sound.write_wav(tmp_path / "none" / "a.wav", STREAM)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_channels_are_counted(tmp_path, layout, channels):
    ffmpeg("-f", "lavfi", "-i", f"anullsrc=cl={layout}:r=22050:d=0.3", tmp_path / "a.flac")
    assert channels_and_rate(tmp_path / "a.flac") == (channels, 22050)
