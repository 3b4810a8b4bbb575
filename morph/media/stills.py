"""Still pictures on disk: atomic files and numbered frames.

A finished frame on disk is the truth of a render, so a file appears under its own name only once all of
its bytes are there.
"""

import os
import re
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from morph.errors import EncodeError, InputError, SettingsError, reason_of
from morph.media import openimage
from morph.media.frame import FrameArray, checked_frame, described
from morph.media.limits import MEMORY
from morph.media.pattern import SUFFIXES, StillPattern
from morph.media.png import decode_png, encode_png, png_comment

FIRST_FRAME = 1001
"""Number of a shot's first frame, as film and effects departments count."""

MAX_BYTES = 1024 * 1024 * 1024
"""Largest file of a still that is read: one of the most pixels allowed, at 16 bits with alpha, is smaller."""


TEMPORARY = ".morph-"
"""What names of files that are being written begin with."""
_TOKEN = 6
"""Random bytes in such a name."""
_NUL = "its name has a NUL"  # why a file is not opened where the system was not even asked


def temporary_beside(path: Path, mark: str = "") -> Path:
    """Return a fresh name in ``path``'s folder with ``path``'s suffix; nothing is created.

    The name is short whatever ``path`` is called, so a 255-byte file name leaves room for it, and it starts
    with a dot, so neither people nor :func:`frame_numbers` take it for a result. ``mark`` stands in it: who knows
    the mark can remove what was left by a kill, see :func:`remove_temporaries`.
    """
    return path.with_name(f"{TEMPORARY}{mark}{secrets.token_hex(_TOKEN)}{path.suffix}")


def remove_temporaries(folder: Path, mark: str) -> None:
    """Remove files that :func:`temporary_beside` named with ``mark`` in ``folder``; their maker runs no more."""
    named = re.compile(re.escape(f"{TEMPORARY}{mark}") + rf"[0-9a-f]{{{2 * _TOKEN}}}(\..*)?", re.DOTALL)
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if named.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)


def publish(temporary: Path, path: Path) -> None:
    """Flush ``temporary`` to the disk, then give it the name ``path`` in one step. Raises OSError."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def atomic_path(path: Path, mark: str = "") -> Iterator[Path]:
    """Yield a temporary name to write to; it becomes ``path`` when the block ends well.

    On any failure, Ctrl-C included, the temporary file is removed and ``path`` is as it was before.
    """
    temporary = temporary_beside(path, mark)
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_png(path: Path, image: FrameArray, comment: str | None = None, mark: str = "") -> None:
    """Write a frame to ``path`` as a PNG of its depth and channels, tagged sRGB, atomically.

    ``comment`` (the recipe) goes into a text chunk called ``Comment``.

    Raises:
        ValueError: the array is no frame.
        EncodeError: the disk refused, for example because it is full.
    """
    data = encode_png(image, comment)
    with _writing(path, mark) as temporary:
        temporary.write_bytes(data)


def write_still(
    path: Path, image: FrameArray, comment: str | None = None, fps: Fraction | None = None, mark: str = ""
) -> None:
    """Write a frame to ``path`` atomically, as the kind its suffix names: PNG, TIFF or EXR.

    PNG and TIFF keep the frame's depth and straight alpha. EXR holds half floats in linear light, its colour
    multiplied by alpha, and states ``fps``. ``comment`` (the recipe) goes with each.

    Raises:
        ValueError: the array is no frame.
        InputError: another suffix, or TIFF or EXR without OpenImageIO.
        EncodeError: the disk refused, for example because it is full.
    """
    kind = _kind(path)
    if kind == ".png":
        write_png(path, image, comment, mark)
        return
    frame = checked_frame(image)
    with _writing(path, mark) as temporary:
        if kind == ".exr":
            openimage.write_exr(temporary, frame, comment, fps)
        else:
            openimage.write_tiff(temporary, frame, comment)


def read_png(source: Path | bytes) -> FrameArray:
    """Return the pixels of a PNG, a file or its bytes, in its own depth; grey and palettes become colour.

    Raises:
        InputError: it is not there, not a PNG, cut off or damaged, or too large.
    """
    try:
        if isinstance(source, bytes):
            return decode_png(source)
        _check_regular(source)
        return decode_png(source.read_bytes())
    except (OSError, ValueError) as error:
        name = "a PNG in memory" if isinstance(source, bytes) else source
        raise _unreadable(name, error) from error


def read_still(path: Path) -> FrameArray:
    """Return the pixels of a PNG or TIFF in its own depth, or of an EXR at 16 bits, sRGB-encoded.

    Alpha is straight, whatever the file holds. EXR is taken for linear light, and clipped to black and white.

    Raises:
        InputError: it is not there, of another kind, cut off or damaged, too large, or needs OpenImageIO.
    """
    kind = _kind(path)
    _check_regular(path)
    try:
        if kind == ".png":
            return decode_png(path.read_bytes(), MEMORY)
        return openimage.read_exr(path) if kind == ".exr" else openimage.read_tiff(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_comment(path: Path) -> str | None:
    """Return the comment (the recipe) that a PNG, TIFF or EXR carries, if any; no pixel is decoded.

    Raises:
        InputError: it is not there, of another kind, damaged where the comment is, or needs OpenImageIO.
    """
    kind = _kind(path)
    _check_regular(path)
    try:
        if kind == ".png":
            with path.open("rb") as file:
                return png_comment(file)
        return openimage.comment_of(path, "openexr" if kind == ".exr" else "tiff")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


class FrameWriter(ABC):
    """Where frames go, one at a time: numbered stills or a video.

    As a context manager it closes when the block ends well and aborts when it does not.
    """

    @abstractmethod
    def write(self, frame: FrameArray) -> Path | None:
        """Take the next frame; return its own file if it has one."""

    @abstractmethod
    def close(self) -> None:
        """Finish: afterwards everything is under its final name. A second call does nothing."""

    @abstractmethod
    def abort(self) -> None:
        """Stop, leaving nothing half-made under a final name. After a close it does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class FrameFolder(FrameWriter):
    """Numbered stills ``name.1001.png``, ``name.1002.png``, ... in a folder, which is made if missing.

    ``stills`` is their pattern, or a path that means one; a folder means ``frame.%04d.png`` in it.

    Old and new frames never mix: a folder that already holds frames of this name is taken only when the
    last of them is number ``start - 1``, that is, when this writer carries on where another stopped. Frames
    whose numbers are in ``replace`` are no hindrance: they are removed, unless the new ones follow them. Frames
    written before an abort stay, since each is complete. All frames have the size, depth and channels of the
    first. ``comment`` goes into each, and ``fps`` where it can; ``mark`` is that of :func:`temporary_beside`.

    Raises:
        InputError: as :func:`check_folder`, or the folder cannot be made.
    """

    def __init__(
        self,
        stills: StillPattern | Path | str,
        start: int = FIRST_FRAME,
        comment: str | None = None,
        replace: Container[int] = (),
        fps: Fraction | None = None,
        mark: str = "",
    ) -> None:
        pattern = _pattern(stills)
        check_folder(pattern, start, replace)
        try:
            pattern.folder.mkdir(exist_ok=True)
            for number in replaced(pattern, start, replace):
                pattern.path(number).unlink()
        except OSError as error:
            raise InputError(f"{pattern.folder}: cannot make this folder ({error.strerror})") from error
        self._pattern = pattern
        self._comment = comment
        self._fps = fps
        self._mark = mark
        self._number = start
        self._described = ""

    def write(self, frame: FrameArray) -> Path:
        """Write the next frame and return its file.

        Raises ValueError for another size, depth or number of channels, EncodeError when the disk refuses.
        """
        frame = checked_frame(frame)
        kind = described(frame)
        if self._described not in ("", kind):
            raise ValueError(f"the frame is {kind}, those before it are {self._described}")
        path = self._pattern.path(self._number)
        write_still(path, frame, self._comment, self._fps, self._mark)
        self._described = kind
        self._number += 1
        return path

    def close(self) -> None:
        """Do nothing: each frame was finished when it was written."""

    def abort(self) -> None:
        """Do nothing: the frames on disk are complete and stay."""


def check_folder(stills: StillPattern | Path | str, start: int = FIRST_FRAME, replace: Container[int] = ()) -> None:
    """Refuse, creating nothing, what :class:`FrameFolder` could not write.

    Raises:
        InputError: as :func:`check_place`, or a folder that holds other frames of the name.
    """
    check_place(stills, start)
    replaced(stills, start, replace)


def check_place(stills: StillPattern | Path | str, start: int = FIRST_FRAME) -> None:
    """Refuse, creating nothing, where no frames could be written, whatever is there by now.

    Raises:
        InputError: no pattern, a suffix that needs OpenImageIO where that is missing, or a folder that is a file,
            or not to be made or written to.
    """
    pattern = _pattern(stills)
    folder, first = pattern.folder, pattern.path(start)
    if pattern.suffix != ".png":
        openimage.check_usable(pattern)
    if not os.path.exists(folder):
        check_parent(folder)
        check_parent(folder.with_name(first.name))  # the name alone is tried, where there is a folder already
        return
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: a file is in the way of this folder: choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: no permission to write in this folder")
    check_parent(first)


def replaced(
    stills: StillPattern | Path | str, start: int = FIRST_FRAME, replace: Container[int] = ()
) -> list[int]:
    """Return the numbers of the frames on disk that give way to frames from ``start`` on: those in ``replace``.

    None do where the last frame on disk is number ``start - 1``.

    Raises:
        InputError: there are other frames, and the last of these is not number ``start - 1``.
    """
    pattern = _pattern(stills)
    numbers = frame_numbers(pattern) if os.path.exists(pattern.folder) else []
    if not numbers or numbers[-1] == start - 1:
        return []
    others = [number for number in numbers if number not in replace]
    if others and others[-1] != start - 1:
        raise InputError(
            f"{pattern.folder}: already holds frames up to {pattern.path(others[-1]).name}: "
            "choose an empty folder or remove them"
        )
    return [number for number in numbers if number in replace]


def check_parent(path: Path) -> None:
    """Raise InputError unless ``path`` is a possible name in a folder that exists and can be written to."""
    parent = path.parent
    if not os.path.isdir(parent):
        raise InputError(f"{path}: there is no folder {parent}: create it first")
    try:
        with suppress(FileNotFoundError):
            path.lstat()
    except (OSError, ValueError) as error:  # too long, or with a NUL in it
        raise InputError(f"{path}: not a possible file name ({reason_of(error, _NUL)}): choose another") from error
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: no permission to write in {parent}")


def frame_numbers(stills: StillPattern | Path | str) -> list[int]:
    """Return the numbers of the frames on disk, ascending. Raises InputError where the folder cannot be read."""
    pattern = _pattern(stills)
    try:
        entries = os.listdir(pattern.folder)
    except (OSError, ValueError) as error:
        reason = reason_of(error, _NUL)
        raise InputError(
            f"{pattern.folder}: is not a folder that can be read ({reason}): check the name"
        ) from error
    numbers = (pattern.number(entry) for entry in entries)
    return sorted(number for number in numbers if number is not None)


def read_frames(stills: StillPattern | Path | str) -> Iterator[FrameArray]:
    """Yield the frames of a pattern or folder in the order of their numbers, as :func:`read_still` reads them.

    Raises:
        InputError: there is no such folder, no frame in it, a damaged one, or one of another size or kind.
    """
    pattern = _pattern(stills)
    numbers = frame_numbers(pattern)
    if not numbers:
        raise InputError(f"{pattern.folder}: holds no frame called {Path(str(pattern)).name}")
    first = ""
    for number in numbers:
        frame = read_still(pattern.path(number))
        kind = described(frame)
        first = first or kind
        if kind != first:
            raise InputError(
                f"{pattern.path(number)}: {kind}, but the frames before it are {first}: remove the odd ones"
            )
        yield frame


def _pattern(stills: StillPattern | Path | str) -> StillPattern:
    return stills if isinstance(stills, StillPattern) else StillPattern.parse(stills)


def _kind(path: Path) -> str:
    """The suffix in lower case, if it is one of stills that can be read and written here."""
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise SettingsError(f"{path}: unknown kind of still {path.suffix!r}: use {', '.join(SUFFIXES)}")
    if kind != ".png":
        openimage.check_usable(path)
    return kind


@contextmanager
def _writing(path: Path, mark: str) -> Iterator[Path]:
    try:
        with atomic_path(path, mark) as temporary:
            yield temporary
    except OSError as error:
        raise EncodeError(f"{path}: cannot be written ({error.strerror or error})") from error


def _check_regular(path: Path) -> None:
    """Refuse what would be read for ever; raises InputError."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{path}: cannot be opened ({reason_of(error, _NUL)}): check the name") from error
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        raise InputError(f"{path}: is no regular file of at most {MAX_BYTES >> 20} MiB: name a picture")


def _unreadable(name: object, reason: Exception) -> InputError:
    return InputError(f"{name}: cannot be read ({' '.join(str(reason).split())}): remove it or make it again")
