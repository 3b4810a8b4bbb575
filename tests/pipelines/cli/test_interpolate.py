"""``morph interpolate`` and the generator behind it: real frames, real ffmpeg."""

import json
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from morph.errors import InputError
from morph.media.film import open_film, read_video
from morph.media.stills import FrameFolder, frame_numbers, read_frames
from morph.media.target import Stream
from morph.media.times import Times
from morph.media.video import VideoWriter
from morph.motion.flow import Blend, OpticalFlow
from morph.motion.retime import length, retime
from morph.motion.rife import IFNet
from morph.perception.lpips import PerceptualDistance
from pipelines.output.targets import target_for
from tests.benchmarks.inbetween import filmed, photograph

NTSC = Fraction(24000, 1001)
SIZE = 64


@pytest.fixture(scope="module")
def lpips():
    return PerceptualDistance()


@pytest.fixture(scope="module")
def pan():
    """Seven frames, 2 px apart."""
    return [filmed(photograph("coffee"), "pan", 12, moment, size=SIZE) for moment in np.linspace(0, 1, 7)]


@pytest.fixture(scope="module")
def cut(pan):
    """Three frames of one photograph, then three of another."""
    other = [filmed(photograph("retina"), "pan", 4, moment, size=SIZE) for moment in (0, 0.5, 1)]
    return [*pan[:3], *other]


def write(path, frames, fps=NTSC):
    stream = Stream((frames[0].shape[1], frames[0].shape[0]), fps, len(frames))
    with VideoWriter(path, target_for(path), stream) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def folder(path, frames):
    with FrameFolder(path) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def ffmpeg(*arguments):
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.mark.parametrize(
    ("source", "target"), [(NTSC, 60), (24, 60), (25, 50), (60, NTSC), (24, 24), (30, Fraction(1, 10))]
)
def test_frame_k_stands_at_k_over_the_rate_and_the_film_keeps_its_length(pan, lpips, source, target):
    source, target = Fraction(source), Fraction(target)
    made = list(retime(iter(pan), Times.even(len(pan), source), target, Blend(), lpips=lpips))
    assert len(made) == length(Times.even(len(pan), source), target)
    assert (len(made) - 1) / target < len(pan) / source <= len(made) / target
    for k, frame in enumerate(made):
        assert frame.position == k / target * source
        whole = int(frame.position)
        if frame.position == whole or whole == len(pan) - 1:  # the last frame is held
            assert frame.kind == "source"
            assert frame.pixels is pan[whole]
        else:
            assert frame.kind == "between"
            (expected,) = Blend().between(pan[whole], pan[whole + 1], [float(frame.position - whole)])
            assert np.array_equal(frame.pixels, expected)


def test_the_counts_of_the_ntsc_rates():
    assert length(Times.even(24000, NTSC), Fraction(60)) == 60060
    assert length(Times.even(48, NTSC), Fraction(60)) == 121
    assert length(Times.even(7, Fraction(60)), NTSC) == 3


def test_a_cut_is_not_mixed(cut, lpips):
    made = list(retime(cut, Times.even(6, Fraction(24)), Fraction(96), OpticalFlow(), lpips=lpips))
    assert [int(frame.position) for frame in made if frame.kind == "cut"] == [2, 2, 2]
    across = [frame.pixels for frame in made if 2 < frame.position < 3]
    for pixels, nearer in zip(across, (cut[2], cut[2], cut[3]), strict=True):
        assert np.array_equal(pixels, nearer)
    mixed = list(retime(cut, Times.even(6, Fraction(24)), Fraction(96), OpticalFlow(), lpips=lpips, threshold=10))
    assert all(frame.kind != "cut" for frame in mixed)


def test_it_streams(pan, lpips):
    taken = []

    def source():
        for frame in pan:
            taken.append(1)
            yield frame

    frames = retime(source(), Times.even(7, Fraction(24)), Fraction(48), Blend(), lpips=lpips)
    for expected in (2, 2, 3, 3, 4):
        next(frames)
        assert len(taken) == expected


def test_no_frames_give_none(lpips):
    assert list(retime([], Times.even(0, Fraction(24)), Fraction(60), Blend(), lpips=lpips)) == []


@pytest.mark.parametrize("method", ["flow", "rife"])
def test_a_video_gets_another_rate(command, tmp_path, pan, method):
    source, weights, out = write(tmp_path / "a.mp4", pan[:4]), tmp_path / "random.safetensors", tmp_path / "b.mp4"
    extra = []
    if method == "rife":
        torch.manual_seed(0)
        save_file(IFNet().state_dict(), weights)
        extra = ["--method", "rife", "--weights", str(weights)]
    result = command("interpolate", str(source), "-o", str(out), "--to-fps", "60", *extra)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{out}\n"
    assert ("DIS" if method == "flow" else weights.name) in result.stderr
    assert "0 gaps that are cuts" in result.stderr
    assert open_film(out).times == Times.even(11, Fraction(60))


def test_a_folder_gets_another_rate_and_keeps_its_own_frames_bit_for_bit(command, tmp_path, cut):
    source, out = folder(tmp_path / "a", cut), tmp_path / "b"
    result = command(
        "interpolate", str(source), "-o", str(out), "--fps", "24", "--to-fps", "48", "--device", "cpu", "--json"
    )
    assert result.returncode == 0, result.stderr
    assert "repeated across 1 gaps" in result.stderr
    report = json.loads(result.stdout)
    assert report["cuts"] == [2]
    assert (report["frames"], report["source"], report["between"], report["cut"]) == (12, 7, 4, 1)
    made = list(read_frames(out))
    assert frame_numbers(out) == list(range(1001, 1013))
    for k, frame in enumerate(cut):
        assert np.array_equal(made[2 * k], frame)


def test_lowering_the_rate_of_a_video_picks_its_frames(command, tmp_path, pan):
    source, out = write(tmp_path / "a.mkv", pan, Fraction(48)), tmp_path / "b"
    result = command("interpolate", str(source), "-o", str(out), "--to-fps", "24")
    assert result.returncode == 0, result.stderr
    assert all(np.array_equal(a, b) for a, b in zip(read_frames(out), list(read_video(source))[::2], strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("fps", [NTSC, Fraction(25), Fraction(60000, 1001)])
def test_a_videos_rate_is_read_exactly(tmp_path, pan, suffix, fps):
    assert open_film(write(tmp_path / f"a{suffix}", pan, fps)).times == Times.even(7, fps)


def test_sound_goes_along_or_is_said_to_be_left_behind(command, tmp_path, pan):
    write(tmp_path / "silent.mp4", pan)
    ffmpeg("-i", tmp_path / "silent.mp4", "-f", "lavfi", "-i", "sine=d=0.2", "-c:v", "copy", tmp_path / "a.mp4")
    result = command("interpolate", str(tmp_path / "a.mp4"), "-o", str(tmp_path / "b.mp4"), "--to-fps", "48")
    assert result.returncode == 0, result.stderr
    with av.open(str(tmp_path / "b.mp4")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    tone = np.abs(np.fft.rfft(sound[2048:8192])).argmax() * 44100 / 6144
    assert tone == pytest.approx(440, abs=10)
    result = command("interpolate", str(tmp_path / "a.mp4"), "-o", str(tmp_path / "b.gif"), "--to-fps", "25")
    assert result.returncode == 0, result.stderr
    assert "not taken into" in result.stderr
    assert "sound aac" in result.stderr


def test_what_a_video_loses_is_said(command, tmp_path, pan):
    write(tmp_path / "a.mp4", pan[:2])
    lost = "taken as 8-bit RGB"
    ffmpeg("-i", tmp_path / "a.mp4", "-pix_fmt", "yuv422p10le", "-c:v", "prores_ks", tmp_path / "deep.mov")
    for source, times in (("a.mp4", 0), ("deep.mov", 1)):
        result = command("interpolate", source, "-o", f"{source}.mkv", "--to-fps", "24", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stderr.count(lost) == times


def test_frames_at_uneven_times_are_taken_when_they_are_shown(lpips, pan):
    times = Times((Fraction(0), Fraction(1, 10), Fraction(4, 10)), Fraction(1))
    made = list(retime(pan[:3], times, Fraction(10), Blend(), lpips=lpips, threshold=10))
    assert [frame.kind for frame in made] == ["source"] * 2 + ["between"] * 2 + ["source"] * 6
    assert [frame.position for frame in made[:5]] == [0, 1, Fraction(4, 3), Fraction(5, 3), 2]
    (expected,) = Blend().between(pan[1], pan[2], [2 / 3])
    assert np.array_equal(made[3].pixels, expected)


def test_a_film_that_is_another_now_is_refused(lpips, pan):
    for count in (2, 4):
        with pytest.raises(InputError, match="leave it as it is"):
            list(retime(pan[:count], Times.even(3, Fraction(24)), Fraction(24), Blend(), lpips=lpips))


def test_uneven_times_are_told_unless_a_rate_is_given(command, tmp_path, pan):
    write(tmp_path / "even.mp4", [*pan, *pan], Fraction(24))
    source, out = tmp_path / "uneven.mp4", tmp_path / "b.mp4"
    ffmpeg("-i", tmp_path / "even.mp4", "-vf", "select='not(between(n,4,7))'", "-fps_mode", "vfr", source)
    result = command("interpolate", str(source), "-o", str(out), "--to-fps", "48")
    assert result.returncode == 0, result.stderr
    assert "10 frames come at uneven times, 17.143 a second on average" in result.stderr
    assert len(open_film(out).times.starts) == 28  # as long as before
    result = command("interpolate", str(source), "-o", str(out), "--to-fps", "48", "--fps", "24")
    assert result.returncode == 0, result.stderr
    assert len(open_film(out).times.starts) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4", "-o", "b.mp4", "--to-fps", "none"], "fps 'none'"),
        (["a.mp4", "-o", "b.mp4", "--to-fps", "60", "--fps", "0"], "fps '0'"),
        (["a.mp4", "-o", "b.xyz", "--to-fps", "60"], "unknown kind of file"),
        (["a.mp4", "-o", "missing/b.mp4", "--to-fps", "60"], "no folder missing"),
        (["a.mp4", "-o", "a.mp4", "--to-fps", "60"], "is the source itself"),
        (["a.mp4", "-o", "a", "--to-fps", "60"], "already holds frames"),
        (["none.mp4", "-o", "b.mp4", "--to-fps", "60"], "no such video"),
        (["text.mp4", "-o", "b.mp4", "--to-fps", "60"], "cannot be read as a video"),
        (["a", "-o", "b.mp4", "--to-fps", "60"], "add --fps"),
        (["empty", "-o", "b.mp4", "--to-fps", "60", "--fps", "24"], "no numbered pictures"),
        (["odd", "-o", "b.mp4", "--to-fps", "60", "--fps", "24"], "odd side"),
        (["small", "-o", "b.mp4", "--to-fps", "60", "--fps", "24"], "too small"),
        (["a.mp4", "-o", "b.mp4", "--to-fps", "60", "--weights", "text.mp4"], "--method rife"),
        (["a.mp4", "-o", "b.mp4", "--to-fps", "60", "--method", "rife", "--weights", "text.mp4"], "other pickles"),
        (["a.mp4", "-o", "b.mp4", "--to-fps", "60", "--threshold", "-1"], "threshold"),
        (["a.mp4", "-o", "b.mp4", "--to-fps", "60", "--method", "rife", "--device", "abacus"], "no device"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_nothing(command, tmp_path, pan, arguments, message):
    write(tmp_path / "a.mp4", pan)
    folder(tmp_path / "a", pan)
    folder(tmp_path / "odd", [frame[:, :33] for frame in pan])
    folder(tmp_path / "small", [frame[:16, :16] for frame in pan])
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    before = sorted(tmp_path.rglob("*"))
    result = command("interpolate", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_that_breaks_on_the_way_leaves_no_video(command, tmp_path, pan):
    source = folder(tmp_path / "a", pan)
    last = source / "frame.1007.png"
    last.write_bytes(last.read_bytes()[:200])
    result = command("interpolate", str(source), "-o", str(tmp_path / "b.mp4"), "--fps", "24", "--to-fps", "48")
    assert result.returncode == 2
    assert "frame.1007.png: cannot be read" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("output", ["out.mp4", "out", "out.gif"])
def test_only_the_same_source_at_another_rate_gives_way(command, pan, tmp_path, output):
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path / name, pan)
    for source, rate, more, code in (
        ("a.mp4", "30", [], 0),
        ("a.mp4", "12", [], 0),
        ("b.mp4", "30", [], 2),
        ("b.mp4", "30", ["--overwrite"], 0),
    ):
        result = command(
            "interpolate", source, "-o", output, "--to-fps", rate, "--method", "blend", *more, cwd=tmp_path
        )
        assert result.returncode == code, result.stderr
        assert ("add --overwrite" in result.stderr) == (code == 2)
    if output == "out":
        refused = command(
            "interpolate", "out/frame.%04d.png", "-o", "out", "--fps", "24", "--to-fps", "12", cwd=tmp_path
        )
        assert "is the source itself" in refused.stderr
        assert len(frame_numbers(tmp_path / "out")) > 3
