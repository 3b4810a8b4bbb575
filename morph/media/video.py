"""Video files, written through the ffmpeg that imageio-ffmpeg carries.

Every file's pixels are converted to the colours that its tags state, BT.709 in video range or sRGB, so that a
player shows the colours of the stills. Names reach ffmpeg as ``file:`` arguments of a list: no shell, no
protocol, no network.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from morph.errors import EncodeError, SettingsError
from morph.media.audio import Audio
from morph.media.carried import Carried
from morph.media.ffmpeg import Ffmpeg
from morph.media.frame import FrameArray, checked_frame
from morph.media.stills import FrameWriter, check_parent, publish, temporary_beside
from morph.media.tags import written_tags
from morph.media.target import CONTAINERS, MAX_FPS, Stream, Target
from morph.media.timecode import Timecode

# NTSC rates as people write them: no short decimal states them exactly.
_NTSC = {
    Fraction("23.976"): Fraction(24000, 1001),
    Fraction("29.97"): Fraction(30000, 1001),
    Fraction("59.94"): Fraction(60000, 1001),
}


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
    01:00:00:00. ``carried`` is what another film has beside its pictures, in place of ``audio``. ``pad`` repeats
    the last line and column of frames whose size is odd and may not be. ``mark`` is that of
    :func:`temporary_beside`.

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
        carried: Carried | None = None,
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
        rate = f"{stream.fps.numerator}/{stream.fps.denominator}"
        timing = ["-r", rate]
        passing: list[str] = []
        beside: tuple[str, ...] = ()
        coding: tuple[str, ...] = ()
        if carried:
            beside, coding = carried.reading, carried.coding(2)
            if carried.delay:  # which "-r" would take away again, and another mode of frames fill with the first
                timing = ["-framerate", rate, "-itsoffset", f"{float(carried.delay):.6f}"]
                passing = ["-fps_mode", "passthrough"]
        elif audio:
            beside, coding = audio.reading(stream), ("-map", "2:a:0", *audio.coding(suffix, stream))
        start = ("-timecode", str(Timecode.parse(timecode, stream.fps))) if timecode else ()
        with ExitStack() as undo:
            undo.callback(self._tags.unlink, missing_ok=True)
            # The comment goes in by a file: a command line is limited and open to every user of the machine.
            try:
                tags = _tags(comment, carried) if container.comment else written_tags({})
                self._tags.write_text(tags, encoding="utf-8", newline="")
            except OSError as error:
                raise EncodeError(f"{path}: cannot be written ({error.strerror})") from error
            self._ffmpeg = Ffmpeg(
                *("-f", "rawvideo", "-pix_fmt", stream.pixel_format, "-s", f"{width}x{height}"),
                *(*timing, "-i", "pipe:0"),
                *("-f", "ffmetadata", "-i", f"file:{self._tags}", *beside),
                *("-map", "0:v", *coding, "-map_metadata", "1", "-map_chapters", "1"),
                *("-vf", target.filter(stream), *passing),
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


def _tags(comment: str | None, carried: Carried | None) -> str:
    """The ffmetadata of a film with a comment, and with the tags and chapters of another one."""
    tags, chapters = (carried.tags, carried.chapters) if carried else ({}, ())
    return written_tags({**tags, **({} if comment is None else {"comment": comment})}, chapters)
