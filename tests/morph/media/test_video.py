import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.ffmpeg import reading
from morph.media.film import read_video
from morph.media.png import MAX_COMMENT
from morph.media.probe import read_comment
from morph.media.target import Stream
from morph.media.video import VideoWriter, check_video, parse_fps
from pipelines.output.targets import target_for

NTSC = Fraction(24000, 1001)
COLOURS = np.array([
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)],
    [(0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)],
    [(128, 128, 128), (200, 120, 90), (40, 90, 160), (60, 120, 40)],
], np.uint8)  # fmt: skip
CHART = COLOURS.repeat(32, 0).repeat(32, 1)
SIZE = (CHART.shape[1], CHART.shape[0])


def moving(count: int, width: int = 64, height: int = 48) -> Iterable[np.ndarray]:
    """Grey levels that name the frame's number."""
    return (np.full((height, width, 3), 20 + 8 * index, np.uint8) for index in range(count))


def opened(
    path: Path, size: tuple[int, int] = (64, 48), fps: Fraction = NTSC, comment: str | None = None
) -> VideoWriter:
    return VideoWriter(path, target_for(path), Stream(size, fps, 25), comment)


def encode(path: Path, frames: Iterable[np.ndarray], fps: Fraction = NTSC, comment: str | None = None) -> None:
    frames = list(frames)
    with opened(path, (frames[0].shape[1], frames[0].shape[0]), fps, comment) as writer:
        for frame in frames:
            writer.write(frame)


def decode_as_bt709(path: Path) -> np.ndarray:
    """The patch centres of the first frame by the formula of BT.709, without ffmpeg's own conversion."""
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).reformat(format="yuv444p").to_ndarray().astype(float)
    luma, blue, red = (planes[:, 16::32, 16::32] - np.array([16, 128, 128])[:, None, None]) / np.array(
        [219, 224, 224]
    )[:, None, None]
    r, b = luma + 1.5748 * red, luma + 1.8556 * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    return np.stack([r, g, b], -1) * 255


def children() -> list[int]:
    """The ffmpeg processes this process has started and not ended."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in pids if b"ffmpeg" in Path(f"/proc/{pid}/cmdline").read_bytes()]


# --- what the file holds -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_count_rate_tags_and_comment(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    encode(path, moving(25), NTSC, "seed=7")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert len(frames) == 25
        assert stream.average_rate == NTSC
        assert frames[0].format.name == "yuv420p"
        tags = {(f.colorspace, f.color_primaries, f.color_trc, f.color_range) for f in frames}
        assert tags == {(1, 1, 1, 1)}  # BT.709 three times, video range
        assert {key.lower(): value for key, value in container.metadata.items()}["comment"] == "seed=7"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25, 2), Fraction(24)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rates_read_back_exactly(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    path = tmp_path / f"a{suffix}"
    encode(path, moving(12), rate)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == rate


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_flat_patches_keep_their_colour(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    encode(path, [CHART] * 3)
    assert np.abs(decode_as_bt709(path) - COLOURS).max() <= 2
    centres = next(iter(read_video(path)))[16::32, 16::32]
    assert np.abs(centres.astype(int) - COLOURS).max() <= 2


def test_what_ffmpeg_does_untold_is_far_off(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "{}x{}".format(*SIZE), "-r", "24", "-i", "-"]
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        *raw,
        "-pix_fmt",
        "yuv420p",
        "-crf",
        "17",
        path,
    ]
    subprocess.run(command, input=CHART.tobytes(), check=True)
    assert np.abs(decode_as_bt709(path) - COLOURS).max() > 30


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, moving(25))
    frames = list(read_video(path))
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((48, 64, 3), "uint8")}
    assert [round((frame.mean() - 20) / 8) for frame in frames] == list(range(25))


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(50)])
def test_gif_loops_keeps_every_frame_and_its_length(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "a.gif"
    encode(path, [*moving(10, 63, 47), *[np.full((47, 63, 3), 99, np.uint8)] * 3], rate)
    with Image.open(path) as image:
        assert image.info["loop"] == 0
    assert len(list(read_video(path))) == 13
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([index / rate for index in range(13)], abs=0.011)


@settings(max_examples=40, deadline=None)
@example(comment="a=b;#c\\\r\n\\")
@given(comment=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_any_comment_comes_back(tmp_path_factory: pytest.TempPathFactory, comment: str) -> None:
    path = tmp_path_factory.getbasetemp() / "comment.mp4"
    encode(path, moving(1, 16, 16), comment=comment)
    with av.open(str(path)) as container:
        assert container.metadata.get("comment", "") == comment
    assert (read_comment(path) or "") == comment


@pytest.mark.parametrize(("suffix", "size"), [(".mkv", MAX_COMMENT), (".mp4", 2 * MAX_COMMENT)])
def test_too_long_a_comment_is_refused_and_not_waited_for(tmp_path: Path, suffix: str, size: int) -> None:
    path = tmp_path / f"a{suffix}"
    encode(path, moving(1), comment="a" * size)
    with pytest.raises(InputError, match="longer than 16 MiB are not read"):
        read_comment(path)
    assert children() == []


def test_what_a_reader_leaves_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [CHART] * 40)
    with reading(path, "mov", "a video", "-f", "rawvideo") as pipe:
        assert len(pipe.read(7)) == 7
    assert children() == []


def test_the_comment_survives_a_remux(tmp_path: Path) -> None:
    comment = '{"prompt": "a=b; #c\\\\d",\n "seed": 7, "name": "🦊 100%d"}' * 50
    path = tmp_path / "a.mp4"
    encode(path, moving(2), comment=comment)
    for suffix in (".mov", ".mkv", ".mp4"):
        copy = path.with_name(f"copy{suffix}")
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-c", "copy", copy]
        subprocess.run(command, check=True)
        path = copy
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == comment


def test_the_same_frames_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        encode(tmp_path / name, moving(8))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


STRANGE = [
    "-o.mp4",
    "a:b.mp4",
    "http:x.mp4",
    "concat:b.mp4",
    "100%d.mp4",
    'it\'s "a".mp4',
    "a\nb.mp4",
    "🦊.MP4",
]


@pytest.mark.parametrize("name", [*STRANGE, "n" * 251 + ".mp4"])
def test_strange_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    encode(Path(name), moving(3), comment="x")
    assert os.listdir() == [name]
    assert len(list(read_video(Path(name)))) == 3


def test_a_strange_folder(tmp_path: Path) -> None:
    folder = tmp_path / "-f %03d 'a:b'\n;"
    folder.mkdir()
    encode(folder / "a.webm", moving(3), comment="x")
    assert len(list(read_video(folder / "a.webm"))) == 3


# --- what goes wrong -----------------------------------------------------------------------------------


def test_an_interrupted_encode_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterable[np.ndarray]:
        yield from moving(5)
        raise KeyboardInterrupt

    def encode_interrupted() -> None:
        with opened(tmp_path / "a.mp4", comment="x") as writer:
            for frame in interrupted():
                writer.write(frame)

    with pytest.raises(KeyboardInterrupt):
        encode_interrupted()
    assert list(tmp_path.iterdir()) == []
    assert children() == []


def test_a_failure_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, moving(3))
    before = path.read_bytes()
    writer = opened(path)
    writer.write(next(iter(moving(1))))
    writer.abort()
    writer.close()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_no_video(tmp_path: Path) -> None:
    writer = opened(tmp_path / "a.mp4")
    with pytest.raises(EncodeError, match="no frame was written"):
        writer.close()
    assert list(tmp_path.iterdir()) == []
    assert children() == []


def test_a_killed_ffmpeg_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for write_on in (True, False):  # it is noticed while writing, or at the latest when closing
        writer = opened(tmp_path / "a.mp4", (640, 480))
        writer.write(noise)
        os.kill(children()[0], signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(EncodeError, match=r"a\.mp4: ffmpeg ended with status -9"):
            writer.write(noise) if write_on else writer.close()
        writer.abort()
        assert list(tmp_path.iterdir()) == []
        assert children() == []


def test_the_last_lines_of_ffmpeg_are_in_the_error(tmp_path: Path) -> None:
    writer = opened(tmp_path / "a.mp4")
    writer.write(next(iter(moving(1))))
    while not (halves := list(tmp_path.glob(".morph-*.mp4"))):
        time.sleep(0.01)
    halves[0].unlink()  # +faststart opens the file a second time
    with pytest.raises(EncodeError, match="No such file or directory") as caught:
        writer.close()
    assert "\n" not in str(caught.value)
    assert " @ 0x" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    writer = opened(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="opened for 64x48"):
        writer.write(CHART)
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_closing_the_reader_ends_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [CHART] * 40)
    frames = read_video(path)
    next(frames)
    assert len(children()) == 1
    frames.close()
    assert children() == []


def test_files_that_are_no_video(tmp_path: Path) -> None:
    text, pipe, playlist, cut = (tmp_path / name for name in ("t.mp4", "pipe.mp4", "list.mp4", "cut.mp4"))
    encode(tmp_path / "a.mp4", moving(25))
    text.write_text("not a video")
    os.mkfifo(pipe)
    playlist.write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'a.mp4'}'\n")
    whole = (tmp_path / "a.mp4").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    short = tmp_path / "short.mkv"  # this container can be read up to where it breaks off
    encode(short, moving(25))
    os.truncate(short, short.stat().st_size // 2)
    for path in (text, pipe, playlist, cut, short, tmp_path, tmp_path / "missing.mp4"):
        with pytest.raises(InputError, match=re.escape(str(path))) as caught:
            list(read_video(path))
        assert "\n" not in str(caught.value)
    assert children() == []


def test_no_torch_is_loaded() -> None:
    subprocess.run(
        [sys.executable, "-c", "import sys, morph.media.video; assert 'torch' not in sys.modules"], check=True
    )


# --- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("12.5", Fraction(25, 2)),
        (" 24000/1001 ", NTSC),
        ("23.976", NTSC),
        ("29.970", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("1/2", Fraction(1, 2)),
        ("1000", Fraction(1000)),
    ],
)
def test_rates(text: str, rate: Fraction) -> None:
    assert parse_fps(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "0", "0/1", "1/0", "1/00", "-24", "nan", "inf", "1e3", "1000.1", "1001", "9" * 99, "24fps", "٢٤"],
)
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="24000/1001"):
        parse_fps(text)


def test_what_cannot_work_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fps = Fraction(24)
    for name, size, rate, kind, reason in [
        ("a.avi", SIZE, fps, SettingsError, ".mp4, .mov, .mkv, .webm, .gif"),
        ("a.mov", (63, 48), fps, SettingsError, "use 64x48"),
        ("a.mov", (64, 47), fps, SettingsError, "use 64x48"),
        ("a.mov", SIZE, Fraction(0), SettingsError, "fps 0"),
        ("no/a.mov", SIZE, fps, InputError, "there is no folder"),
        ("file/a.mov", SIZE, fps, InputError, "there is no folder"),
        ("n" * 252 + ".mov", SIZE, fps, InputError, "too long"),
    ]:
        for refuse in (check_video, VideoWriter):
            with pytest.raises(kind, match=re.escape(reason)):
                refuse(tmp_path / name, target_for(Path("a.mov")), Stream(size, rate, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert children() == []
