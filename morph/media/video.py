"""Video files, written and read through the ffmpeg that imageio-ffmpeg carries.

Every file is tagged BT.709 in video range and its pixels are converted to match, so that a player shows the
colours of the stills. Names reach ffmpeg as ``file:`` arguments of a list: no shell, no protocol, no network.
"""

import os
import re
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import IO

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.frame import Frame, checked_rgb
from morph.media.pattern import is_folder
from morph.media.stills import (
    FrameFolder,
    FrameWriter,
    check_folder,
    check_parent,
    publish,
    temporary_beside,
)

MAX_FPS = 1000

# NTSC rates as people write them: no short decimal states them exactly.
_NTSC = {
    Fraction("23.976"): Fraction(24000, 1001),
    Fraction("29.97"): Fraction(30000, 1001),
    Fraction("59.94"): Fraction(60000, 1001),
}

# Without the conversion ffmpeg uses the BT.601 matrix; without the tags a player has to guess which.
_BT709_420 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,"
    "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv,"
    "format=yuv420p"
)
# One palette per frame: better for pictures that change, and memory does not grow with the length.
_PALETTE = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"

# crf 17 is the point where people stop telling x264 from its source.
_H264 = ("-c:v", "libx264", "-crf", "17", "-preset", "medium")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-cpu-used", "4", "-row-mt", "1")
_FASTSTART = ("-movflags", "+faststart")

_QUIET = ("-hide_banner", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe")
# The containers written here and their kin: a playlist under a video's name could open any other file.
_CONTAINERS = ("-format_whitelist", "mov,matroska,gif,avi")
_LAST_LINES = 6


@dataclass(frozen=True)
class Target:
    """How ffmpeg makes one kind of file; ``even`` means 4:2:0 colour, which has no odd width or height."""

    filters: str
    arguments: tuple[str, ...]
    even: bool = True


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        ".mp4": Target(_BT709_420, (*_H264, *_FASTSTART)),
        ".mov": Target(_BT709_420, (*_H264, *_FASTSTART)),
        ".mkv": Target(_BT709_420, _H264),
        ".webm": Target(_BT709_420, _VP9),
        ".gif": Target(_PALETTE, ("-loop", "0"), even=False),
    }
)
"""What a file's suffix, in lower case, stands for."""


def parse_fps(text: str) -> Fraction:
    """Return the frames per second of ``"24"``, ``"12.5"`` or ``"24000/1001"`` exactly.

    ``23.976``, ``29.97`` and ``59.94`` mean the NTSC rates 24000/1001, 30000/1001 and 60000/1001.

    Raises:
        SettingsError: anything else, zero, or more than MAX_FPS.
    """
    if re.fullmatch(r"\d{1,7}(\.\d{1,6}|/0*[1-9]\d{0,6})?", text.strip(), re.ASCII):
        rate = Fraction(text.strip())
        rate = _NTSC.get(rate, rate)
        if 0 < rate <= MAX_FPS:
            return rate
    raise SettingsError(f"fps {text!r}: write a rate up to {MAX_FPS} such as 24, 12.5 or 24000/1001")


def check_output(path: str | Path, size: tuple[int, int], fps: Fraction, *, replace: bool = False) -> None:
    """Refuse, before any work is done, what :func:`open_writer` could not write; nothing is created.

    ``size`` is (width, height); ``replace`` lets frames in a folder be replaced.

    Raises:
        SettingsError: an unknown suffix, an odd size in 4:2:0, a rate out of range.
        InputError: the folder is missing, cannot be written to, or already holds frames.
    """
    if is_folder(path):
        check_folder(Path(path), replace=replace)
    else:
        _checked_target(Path(path), size, fps)


def video_notices(path: str | Path, fps: Fraction) -> tuple[str, ...]:
    """Return what the user should know about the file that ``path`` and ``fps`` will give."""
    if is_folder(path) or Path(path).suffix.lower() != ".gif":
        return ()
    notices = [f"{path}: a GIF keeps no recipe and 256 colours in a frame: a video keeps more"]
    hundredths = 100 / fps
    if fps > 50:
        notices.append(
            f"{path}: many players slow a GIF of more than 50 fps down to 10, and 100 is its most: use 50"
        )
    elif hundredths.denominator != 1:
        short = int(hundredths)
        notices.append(
            f"{path}: a GIF counts in hundredths of a second: at {fps} fps a frame lasts {short} or "
            f"{short + 1} of them, so motion is slightly uneven: 20, 25 and 50 fps are exact"
        )
    return tuple(notices)


def open_writer(
    path: str | Path, size: tuple[int, int], fps: Fraction, comment: str | None = None, *, replace: bool = False
) -> FrameWriter:
    """Open the folder of PNGs or the video that ``path`` means; ``comment`` (the recipe) goes with it.

    Raises what :func:`check_output` raises.
    """
    if is_folder(path):
        return FrameFolder(Path(path), comment=comment, replace=replace)
    return VideoWriter(Path(path), size, fps, comment)


class VideoWriter(FrameWriter):
    """Encodes frames of ``size`` (width, height) at ``fps`` as they come; the suffix chooses the target.

    Use it as a context manager. The video appears under ``path`` only when it is complete; on any failure,
    Ctrl-C included, ffmpeg is ended, nothing is left, and an older file of that name is untouched.
    ``comment`` becomes the file's ``comment`` tag, except in a GIF, which has none.

    Raises:
        SettingsError, InputError: as :func:`check_output`.
        EncodeError: ffmpeg cannot be started, or the disk refuses.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: Fraction, comment: str | None = None) -> None:
        target = _checked_target(path, size, fps)
        self._path = path
        self._size = size
        self._empty = True
        self._temporary = temporary_beside(path)
        self._tags = self._temporary.with_suffix(".txt")
        with ExitStack() as undo:
            undo.callback(self._tags.unlink, missing_ok=True)
            # The comment goes in by a file: a command line is limited and open to every user of the machine.
            try:
                self._tags.write_text(_ffmetadata(comment), encoding="utf-8", newline="")
            except OSError as error:
                raise EncodeError(f"{path}: cannot be written ({error.strerror})") from error
            self._ffmpeg = _Ffmpeg(
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}"),
                *("-r", f"{fps.numerator}/{fps.denominator}", "-i", "pipe:0"),
                *("-f", "ffmetadata", "-i", f"file:{self._tags}", "-map", "0:v", "-map_metadata", "1"),
                *("-vf", target.filters, *target.arguments, f"file:{self._temporary}"),
                stdin=True,
            )
            undo.pop_all()

    def write(self, frame: Frame) -> None:
        """Encode the next frame, uint8 sRGB (H,W,3).

        Raises ValueError for another size or type, EncodeError when ffmpeg has failed.
        """
        data = checked_rgb(frame, self._size).data
        try:
            self._ffmpeg.pipe.write(data)
        except BrokenPipeError as error:
            raise self._failure() from error
        self._empty = False

    def close(self) -> None:
        """Finish the video and give it its name. Raises EncodeError if that fails or no frame was written."""
        if self._ffmpeg.pipe.closed:
            return
        try:
            if self._empty:
                raise EncodeError(f"{self._path}: no frame was written, so there is no video")
            # ffmpeg finishes the file when its input ends; if it is gone already, its exit status tells.
            with suppress(BrokenPipeError):
                self._ffmpeg.pipe.close()
            if self._ffmpeg.wait() != 0:
                raise self._failure()
            try:
                publish(self._temporary, self._path)
            except OSError as error:
                raise EncodeError(f"{self._path}: cannot be written ({error.strerror})") from error
        finally:
            self.abort()

    def abort(self) -> None:
        """End ffmpeg and remove what it has written so far. After a close it does nothing."""
        self._ffmpeg.kill()
        self._temporary.unlink(missing_ok=True)
        self._tags.unlink(missing_ok=True)

    def _failure(self) -> EncodeError:
        status = self._ffmpeg.wait()
        lines = self._ffmpeg.last_lines() or "it said nothing"
        return EncodeError(f"{self._path}: ffmpeg ended with status {status}: {lines}")


def read_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame of a video, uint8 sRGB (H,W,3), converted by the file's own colour tags.

    Closing the generator ends ffmpeg. Damage that shows only on the way is raised after the frames before it.

    Raises:
        InputError: not a regular file, not a video ffmpeg can read, or damaged.
    """
    # Portable pixmaps carry their size in front of plain rgb24, so no second program has to ask for it.
    filters = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24"
    pixmaps = ("-fps_mode", "passthrough", "-vf", filters, "-f", "image2pipe", "-c:v", "ppm")
    with _reading(path, *pixmaps) as pipe:
        while (frame := _read_pixmap(pipe)) is not None:
            yield frame


@dataclass(frozen=True)
class Timing:
    """When the frames of a video are shown.

    Attributes:
        fps: exact, as ffmpeg understands the file.
        frames: how many there are.
        even: whether each frame stands where ``fps`` puts it, give or take less than a frame.
        audio: whether there is sound as well.
    """

    fps: Fraction
    frames: int
    even: bool
    audio: bool


def read_timing(path: Path) -> Timing:
    """Read when the frames of a video are shown; only its first frame is decoded.

    Raises:
        InputError: as :func:`read_video`.
    """
    # A list of "stream, decoding time, time, ..." under a heading that states the time's unit. Decoded frames are
    # counted in frames, 1001/24000 s, and packets as the container likes, such as 1/1000 s.
    with _reading(path, "-map", "0:a:0?", "-c:a", "copy", "-frames:v", "1", "-f", "framecrc") as pipe:
        heading = dict(line.rstrip().split(b": ", 1) for line in pipe if line.startswith((b"#tb", b"#media_type")))
    frame, frames, start, even = Fraction(heading[b"#tb 0"].decode()), 0, 0, True
    with _reading(path, "-c:v", "copy", "-f", "framecrc") as pipe:
        for line in pipe:
            if line.startswith(b"#tb 0"):
                unit = Fraction(line.split()[2].decode()) / frame
            elif line.startswith(b"0,"):
                time = int(line.split(b",")[1])
                start = time if frames == 0 else start
                even = even and abs((time - start) * unit - frames) < 1
                frames += 1
    return Timing(_rate(1 / frame), frames, even, audio=heading.get(b"#media_type 1") == b"audio")


def _rate(found: Fraction) -> Fraction:
    """The whole or NTSC rate that ``found`` means: Matroska states a frame's time in rounded nanoseconds."""
    for exact in (Fraction(round(found)), Fraction(1000 * round(found * 1001 / 1000), 1001)):
        if abs(found - exact) < found / 100_000:
            return exact
    return found


@contextmanager
def _reading(path: Path, *arguments: str) -> Iterator[IO[bytes]]:
    """What ffmpeg makes of a file's first video stream. Raises what :func:`read_video` raises."""
    if not os.path.isfile(path):
        raise InputError(f"{path}: there is no such video file: check the name")
    ffmpeg = _Ffmpeg(
        *("-xerror", *_CONTAINERS, "-i", f"file:{path}", "-map", "0:v:0", *arguments, "pipe:1"), stdin=False
    )
    try:
        yield ffmpeg.pipe
        # ffmpeg calls a file that ends too early a success, but it does not keep silent about it.
        if ffmpeg.wait() != 0 or ffmpeg.last_lines():
            raise InputError(f"{path}: cannot be read as a video: {ffmpeg.last_lines()}")
    finally:
        ffmpeg.kill()


def _read_pixmap(pipe: IO[bytes]) -> NDArray[np.uint8] | None:
    """Return one binary pixmap ("P6", width and height, 255, pixels), or None where the stream ends."""
    header = [pipe.readline() for _ in range(3)]
    if not header[2]:
        return None
    width, height = (int(number) for number in header[1].split())
    data = bytearray(pipe.read(width * height * 3))  # bytearray: the caller may write into its frame
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


class _Ffmpeg:
    """One running ffmpeg with one pipe, to its stdin or from its stdout, and its last messages."""

    def __init__(self, *arguments: str, stdin: bool) -> None:
        # A session of its own keeps the terminal's Ctrl-C from reaching it: its owner decides when it ends.
        try:
            self._process = subprocess.Popen(
                [imageio_ffmpeg.get_ffmpeg_exe(), *_QUIET, *arguments],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdin else subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (RuntimeError, OSError) as error:
            raise EncodeError(f"ffmpeg cannot be started ({error}): install imageio-ffmpeg again") from error
        pipe = self._process.stdin if stdin else self._process.stdout
        assert pipe is not None
        assert self._process.stderr is not None
        self.pipe: IO[bytes] = pipe
        self._messages: IO[bytes] = self._process.stderr
        self._lines: deque[bytes] = deque(maxlen=_LAST_LINES)
        # Someone must read the messages, or a talkative ffmpeg blocks when that pipe is full.
        self._reader = Thread(target=self._lines.extend, args=(self._messages,), daemon=True)
        self._reader.start()

    def wait(self) -> int:
        """Wait for the end and return the exit status; negative is a signal's number."""
        status = self._process.wait()
        self._reader.join()
        return status

    def last_lines(self) -> str:
        """Return its last messages as one line; complete after :meth:`wait`."""
        lines = (line.decode(errors="replace").strip() for line in self._lines)
        return " | ".join(line for line in lines if line)

    def kill(self) -> None:
        """End it at once, if it still runs, and close the pipes."""
        self._process.kill()
        with suppress(BrokenPipeError):  # what was still buffered has nowhere to go
            self.pipe.close()
        self.wait()
        self._messages.close()


def _checked_target(path: Path, size: tuple[int, int], fps: Fraction) -> Target:
    """Return the target of a video file, or raise what :func:`check_output` raises."""
    if not 0 < fps <= MAX_FPS:
        raise SettingsError(f"fps {fps}: must be above 0 and at most {MAX_FPS}")
    target = TARGETS.get(path.suffix.lower())
    if target is None:
        known = ", ".join(TARGETS)
        raise SettingsError(
            f"{path}: unknown kind of file {path.suffix!r}: use {known}, or a / at the end for PNGs"
        )
    width, height = size
    if target.even and (width % 2 or height % 2):
        even = f"{width + width % 2}x{height + height % 2}"
        raise SettingsError(f"{path}: {width}x{height} has an odd side, which 4:2:0 cannot hold: use {even}")
    check_parent(path)
    return target


def _ffmetadata(comment: str | None) -> str:
    """Return an ffmetadata file; its special characters are escaped by a backslash.

    No newline ends it: behind an escaped backslash ffmpeg would take that for a part of the value.
    """
    if comment is None:
        return ";FFMETADATA1\n"
    return ";FFMETADATA1\ncomment=" + re.sub(r"([=;#\\\r\n])", r"\\\1", comment)
