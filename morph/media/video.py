"""Video files, written and read through the ffmpeg that imageio-ffmpeg carries.

Every file's pixels are converted to the colours that its tags state, BT.709 in video range or sRGB, so that a
player shows the colours of the stills. Names reach ffmpeg as ``file:`` arguments of a list: no shell, no
protocol, no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.audio import Audio
from morph.media.ffmpeg import Ffmpeg, reading
from morph.media.frame import FrameArray, checked_frame, to_rgb8
from morph.media.png import MAX_COMMENT
from morph.media.stills import FrameWriter, check_parent, publish, temporary_beside
from morph.media.target import CONTAINERS, MAX_FPS, Stream, Target
from morph.media.timecode import Timecode

# NTSC rates as people write them: no short decimal states them exactly.
_NTSC = {
    Fraction("23.976"): Fraction(24000, 1001),
    Fraction("29.97"): Fraction(30000, 1001),
    Fraction("59.94"): Fraction(60000, 1001),
}
# The containers written here and their kin: a playlist under a video's name could open any other file.
_KINDS = "mov,matroska,gif,avi,apng"


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


def check_video(
    path: Path, target: Target, stream: Stream, *, timecode: str = "", audio: Audio | None = None, pad: bool = False
) -> None:
    """Refuse, before any work is done, what :class:`VideoWriter` could not write; nothing is created.

    Raises:
        SettingsError: an unknown suffix, or what the target or the container cannot hold.
        InputError: the folder is missing or cannot be written to.
    """
    suffix = path.suffix.lower()
    if suffix not in CONTAINERS:
        raise SettingsError(f"{path}: unknown kind of video {path.suffix!r}: use {', '.join(CONTAINERS)}")
    target.check(path, stream, pad)
    container = CONTAINERS[suffix]
    if audio and not container.audio:
        raise SettingsError(f"{path}: a {suffix} has no sound: use .mp4, .mov, .mkv or .webm")
    if timecode:
        if not container.timecode:
            raise SettingsError(f"{path}: a {suffix} has no timecode: use .mov or .mp4")
        Timecode.parse(timecode, stream.fps)
    check_parent(path)


class VideoWriter(FrameWriter):
    """Encodes the frames of ``stream`` as they come, as ``target`` says.

    Use it as a context manager. The video appears under ``path`` only when it is complete; on any failure,
    Ctrl-C included, ffmpeg is ended, nothing is left, and an older file of that name is untouched.
    ``comment`` becomes the file's ``comment`` tag, where it has one; ``timecode`` is the first frame's, such as
    01:00:00:00. ``pad`` repeats the last line and column of frames whose size is odd and may not be. ``mark`` is
    that of :func:`temporary_beside`.

    Raises:
        SettingsError, InputError: as :func:`check_video`.
        EncodeError: ffmpeg cannot be started, or the disk refuses.
    """

    def __init__(
        self,
        path: Path,
        target: Target,
        stream: Stream,
        comment: str | None = None,
        *,
        timecode: str = "",
        audio: Audio | None = None,
        pad: bool = False,
        mark: str = "",
    ) -> None:
        check_video(path, target, stream, timecode=timecode, audio=audio, pad=pad)
        suffix = path.suffix.lower()
        container = CONTAINERS[suffix]
        width, height = self._padded = target.padded(stream)
        self._path = path
        self._stream = stream
        self._empty = True
        self._temporary = temporary_beside(path, mark)
        self._tags = self._temporary.with_suffix(".txt")
        sound = (audio.reading(stream), ("-map", "2:a:0", *audio.coding(suffix, stream))) if audio else ((), ())
        start = ("-timecode", str(Timecode.parse(timecode, stream.fps))) if timecode else ()
        with ExitStack() as undo:
            undo.callback(self._tags.unlink, missing_ok=True)
            # The comment goes in by a file: a command line is limited and open to every user of the machine.
            try:
                tags = _ffmetadata(comment if container.comment else None)
                self._tags.write_text(tags, encoding="utf-8", newline="")
            except OSError as error:
                raise EncodeError(f"{path}: cannot be written ({error.strerror})") from error
            self._ffmpeg = Ffmpeg(
                *("-f", "rawvideo", "-pix_fmt", stream.pixel_format, "-s", f"{width}x{height}"),
                *("-r", f"{stream.fps.numerator}/{stream.fps.denominator}", "-i", "pipe:0"),
                *("-f", "ffmetadata", "-i", f"file:{self._tags}", *sound[0]),
                *("-map", "0:v", *sound[1], "-map_metadata", "1", "-vf", target.filter(stream)),
                *(*target.coding(stream), *container.arguments, *start),
                f"file:{self._temporary}",
                stdin=True,
            )
            undo.pop_all()

    def write(self, frame: FrameArray) -> None:
        """Encode the next frame, as the stream says: uint8 or uint16 sRGB (H,W,3), or (H,W,4) with straight alpha.

        Raises ValueError for another size or type, EncodeError when ffmpeg has failed.
        """
        stream = self._stream
        frame = checked_frame(frame, stream.size)
        if frame.dtype.itemsize * 8 != stream.depth or frame.shape[2] != 3 + stream.alpha:
            raise ValueError(f"the frame is {frame.dtype} {frame.shape}, the writer was opened for {stream}")
        if self._padded != stream.size:
            across, down = self._padded[0] - stream.size[0], self._padded[1] - stream.size[1]
            frame = np.ascontiguousarray(np.pad(frame, ((0, down), (0, across), (0, 0)), mode="edge"))
        try:
            self._ffmpeg.pipe.write(frame.data)
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

    What is transparent is laid on black. Closing the generator ends ffmpeg. Damage that shows only on the way is
    raised after the frames before it.

    Raises:
        InputError: not a regular file, not a video ffmpeg can read, or damaged.
    """
    # Portable maps state their size and depth in front of plain pixels, so no second program has to ask for them.
    filters = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24|rgba"
    maps = ("-fps_mode", "passthrough", "-vf", filters, "-f", "image2pipe", "-c:v", "pam")
    with _reading(path, *maps, opening=_decoder(path)) as pipe:
        while (frame := _read_map(pipe)) is not None:
            yield to_rgb8(frame)


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


def loses_as_rgb8(path: Path) -> bool:
    """Whether a video has more than 8 bits, or transparency, as its first frame tells.

    Raises:
        InputError: as :func:`read_video`.
    """
    # of the pixels that a PAM may have, ffmpeg takes those that lose least, and the heading names them
    maps = ("-frames:v", "1", "-c:v", "pam", "-f", "image2pipe")
    with _reading(path, *maps, opening=_decoder(path)) as pipe:
        heading, _, pixels = pipe.read().partition(b"ENDHDR\n")
    fields = dict(line.split(b" ", 1) for line in heading.splitlines() if b" " in line)
    channels = int(fields[b"DEPTH"])
    transparent = channels in (2, 4)
    if transparent and path.suffix.lower() == ".gif":  # every GIF has a channel for it
        transparent = min(pixels[channels - 1 :: channels]) < 255
    return transparent or int(fields[b"MAXVAL"]) > 255


def read_comment(path: Path) -> str | None:
    """Read the ``comment`` tag of a video.

    Raises:
        InputError: as :func:`read_video`, or the tags are longer than MAX_COMMENT.
    """
    with _reading(path, "-c", "copy", "-frames:v", "0", "-f", "ffmetadata") as pipe:
        found = pipe.read(MAX_COMMENT + 1)
        if len(found) > MAX_COMMENT:
            raise InputError(
                f"{path}: tags longer than {MAX_COMMENT >> 20} MiB are not read: name the .json beside it"
            )
    tags = re.findall(r"((?:\\.|[^\\\n])*)\n?", found.decode(errors="replace"), re.DOTALL)
    for tag in tags:
        key, _, value = tag.partition("=")
        if key.lower() == "comment":
            return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return None


def _reading(path: Path, *arguments: str, opening: tuple[str, ...] = ()) -> AbstractContextManager[IO[bytes]]:
    return reading(path, _KINDS, "a video", "-map", "0:v:0", *arguments, opening=opening)


def _decoder(path: Path) -> tuple[str, ...]:
    """Ffmpeg's arguments for a decoder other than its own, which pass over the transparency of VP8 and VP9."""
    with _reading(path, "-c", "copy", "-frames:v", "1", "-f", "framecrc") as pipe:
        packet = pipe.read()
    codec = re.search(rb"^#codec_id 0: (vp8|vp9)$", packet, re.MULTILINE)
    if codec and b"Matroska BlockAdditional" in packet:  # where WebM keeps transparency
        return ("-c:v", {b"vp8": "libvpx", b"vp9": "libvpx-vp9"}[codec[1]])
    return ()


def _rate(found: Fraction) -> Fraction:
    """The whole or NTSC rate that ``found`` means: Matroska states a frame's time in rounded nanoseconds."""
    for exact in (Fraction(round(found)), Fraction(1000 * round(found * 1001 / 1000), 1001)):
        if abs(found - exact) < found / 100_000:
            return exact
    return found


def _read_map(pipe: IO[bytes]) -> NDArray[np.uint8] | None:
    """Return one portable arbitrary map, "P7", lines of a name and a value, "ENDHDR", pixels; None at the end."""
    header = {}
    for line in pipe:
        if line == b"ENDHDR\n":
            break
        name, _, header[name] = line.partition(b" ")
    else:
        return None
    shape = tuple(int(header[name]) for name in (b"HEIGHT", b"WIDTH", b"DEPTH"))
    data = bytearray(pipe.read(prod(shape)))  # bytearray: the caller may write into its frame
    return np.frombuffer(data, np.uint8).reshape(shape) if len(data) == prod(shape) else None


def _ffmetadata(comment: str | None) -> str:
    """Return an ffmetadata file; its special characters are escaped by a backslash.

    No newline ends it: behind an escaped backslash ffmpeg would take that for a part of the value.
    """
    if comment is None:
        return ";FFMETADATA1\n"
    return ";FFMETADATA1\ncomment=" + re.sub(r"([=;#\\\r\n])", r"\\\1", comment)
