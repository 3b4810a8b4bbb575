"""Still pictures on disk: atomic files, numbered frames and contact sheets.

A finished frame on disk is the truth of a render, so a file appears under its own name only once all of
its bytes are there.
"""

import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from morph.errors import EncodeError, InputError

FIRST_FRAME = 1001
"""Number of a shot's first frame, as film and effects departments count."""

PNG_LEVEL = 1
"""zlib level of the PNGs: five times faster than Pillow's default and only a little larger."""

_TEXT_KEY = "Comment"


def temporary_beside(path: Path) -> Path:
    """Return a fresh name in ``path``'s folder with ``path``'s suffix; nothing is created.

    The name is short whatever ``path`` is called, so a 255-byte file name leaves room for it, and it starts
    with a dot, so neither people nor :func:`frame_numbers` take it for a result.
    """
    return path.with_name(f".morph-{secrets.token_hex(6)}{path.suffix}")


def publish(temporary: Path, path: Path) -> None:
    """Flush ``temporary`` to the disk, then give it the name ``path`` in one step. Raises OSError."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to; it becomes ``path`` when the block ends well.

    On any failure, Ctrl-C included, the temporary file is removed and ``path`` is as it was before.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_png(path: Path, image: NDArray[np.uint8], comment: str | None = None) -> None:
    """Write ``image``, uint8 sRGB (H,W,3), to ``path`` atomically.

    ``comment`` (the recipe) goes into a text chunk called ``Comment``.

    Raises:
        ValueError: the array is not uint8 (H,W,3).
        EncodeError: the disk refused, for example because it is full.
    """
    text = PngInfo()
    if comment is not None:
        text.add_itxt(_TEXT_KEY, comment)
    picture = Image.fromarray(checked_frame(image))
    try:
        with atomic_path(path) as temporary:
            picture.save(temporary, format="PNG", compress_level=PNG_LEVEL, pnginfo=text)
    except OSError as error:
        raise EncodeError(f"{path}: cannot be written ({error.strerror or error})") from error


def checked_frame(
    frame: NDArray[np.uint8], size: tuple[int, int] | None = None
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return ``frame``, contiguous, if it is uint8 (H,W,3) and of ``size`` (W,H); else ValueError."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ValueError(f"a frame is uint8 (H,W,3), this is {frame.dtype} {frame.shape}")
    height, width, channels = frame.shape
    if size is not None and (width, height) != size:
        raise ValueError(f"the frame is {width}x{height}, the writer was opened for {size[0]}x{size[1]}")
    return np.ascontiguousarray(frame).reshape(height, width, channels)


class FrameWriter(ABC):
    """Where frames go, one at a time: a folder of PNGs or a video.

    As a context manager it closes when the block ends well and aborts when it does not.
    """

    @abstractmethod
    def write(self, frame: NDArray[np.uint8]) -> Path | None:
        """Take the next frame, uint8 sRGB (H,W,3); return its own file if it has one."""

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
    """Numbered PNGs ``name.1001.png``, ``name.1002.png``, ... in ``folder``, which is made if missing.

    Old and new frames never mix: a folder that already holds frames of this name is taken only when the
    last of them is number ``start - 1``, that is, when this writer carries on where another stopped. Frames
    written before an abort stay, since each is complete. With ``replace`` they are removed instead. All frames
    have the size of the first.

    Raises:
        InputError: the folder holds other frames, is a file, or cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "frame",
        start: int = FIRST_FRAME,
        comment: str | None = None,
        replace: bool = False,
    ) -> None:
        check_folder(folder, name, start, replace)
        try:
            folder.mkdir(exist_ok=True)
            for number in frame_numbers(folder, name) if replace else ():
                (folder / f"{name}.{number:04d}.png").unlink()
        except OSError as error:
            raise InputError(f"{folder}: cannot make this folder ({error.strerror})") from error
        self._folder = folder
        self._name = name
        self._comment = comment
        self._number = start
        self._size: tuple[int, int] | None = None

    def write(self, frame: NDArray[np.uint8]) -> Path:
        """Write the next frame, uint8 sRGB (H,W,3), and return its file.

        Raises ValueError for another size or type, EncodeError when the disk refuses.
        """
        frame = checked_frame(frame, self._size)
        path = self._folder / f"{self._name}.{self._number:04d}.png"
        write_png(path, frame, self._comment)
        self._size = (frame.shape[1], frame.shape[0])
        self._number += 1
        return path

    def close(self) -> None:
        """Do nothing: each frame was finished when it was written."""

    def abort(self) -> None:
        """Do nothing: the frames on disk are complete and stay."""


def check_folder(folder: Path, name: str = "frame", start: int = FIRST_FRAME, replace: bool = False) -> None:
    """Raise InputError where :class:`FrameFolder` would refuse ``folder``; create nothing."""
    if not os.path.exists(folder):
        check_parent(folder)
        return
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: a file is in the way of this folder: choose another name")
    numbers = frame_numbers(folder, name)
    if numbers and numbers[-1] != start - 1 and not replace:
        raise InputError(
            f"{folder}: already holds frames up to {name}.{numbers[-1]:04d}.png: "
            "choose an empty folder or remove them"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: no permission to write in this folder")


def check_parent(path: Path) -> None:
    """Raise InputError unless ``path`` is a possible name in a folder that exists and can be written to."""
    parent = path.parent
    if not os.path.isdir(parent):
        raise InputError(f"{path}: there is no folder {parent}: create it first")
    try:
        with suppress(FileNotFoundError):
            path.lstat()
    except (OSError, ValueError) as error:  # too long, or with a NUL in it
        raise InputError(f"{path}: not a possible file name ({error}): choose another") from error
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: no permission to write in {parent}")


def frame_numbers(folder: Path, name: str = "frame") -> list[int]:
    """Return the numbers of the frames ``name.<number>.png`` in ``folder``, ascending."""
    pattern = re.compile(re.escape(name) + r"\.(\d{4}|[1-9]\d{4,})\.png", re.ASCII)
    matches = (pattern.fullmatch(entry) for entry in os.listdir(folder))
    return sorted(int(match[1]) for match in matches if match)


def read_frames(folder: Path, name: str = "frame") -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of ``folder`` in the order of their numbers, uint8 sRGB (H,W,3).

    Raises:
        InputError: there is no such folder, no frame in it, a damaged one, or one of another size.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: is not a folder of frames")
    numbers = frame_numbers(folder, name)
    if not numbers:
        raise InputError(f"{folder}: holds no frame called {name}.<number>.png")
    first: tuple[int, ...] | None = None
    for number in numbers:
        path = folder / f"{name}.{number:04d}.png"
        try:
            with Image.open(path, formats=("PNG",)) as image:
                frame = np.array(image.convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise InputError(f"{path}: damaged frame ({error}): remove it and render it again") from error
        first = first or frame.shape
        if frame.shape != first:
            raise InputError(
                f"{path}: {frame.shape[1]}x{frame.shape[0]}, "
                f"but the frames before it are {first[1]}x{first[0]}: remove the odd ones"
            )
        yield frame


def contact_sheet(
    frames: Sequence[NDArray[np.uint8]], columns: int, gap: int = 4, labels: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Lay ``frames``, uint8 (H,W,3) of one size, row by row on white; return uint8 (H',W',3).

    ``gap`` is in pixels, between and around the frames. ``labels`` names each row, in black on its left.

    Raises:
        ValueError: no frames, different sizes, no columns, or not one label per row.
    """
    if not frames or columns < 1 or gap < 0:
        raise ValueError("a contact sheet needs at least one frame and one column, and no negative gap")
    height, width = frames[0].shape[:2]
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    if labels is not None and len(labels) != rows:
        raise ValueError(f"{rows} rows need {rows} labels, there are {len(labels)}")
    font = ImageFont.load_default(min(16, max(8, height // 4)))
    margin = gap + max(int(font.getlength(label)) + 1 for label in labels) if labels else 0
    canvas = (margin + gap + columns * (width + gap), gap + rows * (height + gap))
    sheet = Image.new("RGB", canvas, "white")
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        corner = (margin + gap + column * (width + gap), gap + row * (height + gap))
        sheet.paste(Image.fromarray(checked_frame(frame, (width, height))), corner)
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels or ()):
        middle = gap + row * (height + gap) + height // 2
        draw.text((gap, middle), label, fill="black", font=font, anchor="lm")
    return np.asarray(sheet)
