"""A running ffmpeg: the one that imageio-ffmpeg carries, without a shell, a terminal or a network."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

from morph.errors import EncodeError, InputError, reason_of

_ALONE = ("-hide_banner", "-nostdin", "-protocol_whitelist", "file,pipe")
_QUIET = (*_ALONE, "-v", "error")
_TALKATIVE = (*_ALONE, "-v", "level+info", "-nostats")
_KEPT_LINES = 50
_ADDRESS = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ?")
"""Where in its memory a part of ffmpeg is that says something."""
_FAULT = re.compile(r"(\[[^\]]* @ 0x[0-9a-f]+\] )*\[(error|fatal|panic)\]")
"""How a line begins by which ffmpeg tells of a fault where it names the levels."""


class Ffmpeg:
    """One running ffmpeg with one pipe, to its stdin or from its stdout, and its last messages.

    Names of files must reach it as ``file:`` arguments. ``talkative``: the pipe is what it says, of all levels.

    Raises:
        EncodeError: it cannot be started.
    """

    def __init__(self, *arguments: str, stdin: bool, talkative: bool = False) -> None:
        import imageio_ffmpeg

        # A session of its own keeps the terminal's Ctrl-C from reaching it: its owner decides when it ends.
        try:
            self._process = subprocess.Popen(
                [imageio_ffmpeg.get_ffmpeg_exe(), *(_TALKATIVE if talkative else _QUIET), *arguments],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdin else subprocess.PIPE,
                stderr=subprocess.STDOUT if talkative else subprocess.PIPE,
                start_new_session=True,
            )
        except (RuntimeError, OSError) as error:
            why = reason_of(error, "there is none")
            raise EncodeError(f"ffmpeg cannot be started ({why}): install imageio-ffmpeg again") from error
        pipe = self._process.stdin if stdin else self._process.stdout
        assert pipe is not None
        self.pipe: IO[bytes] = pipe
        self._messages: IO[bytes] = self._process.stderr or io.BytesIO()
        self._lines: deque[bytes] = deque(maxlen=_KEPT_LINES)
        # Someone must read the messages, or an ffmpeg that has much to say blocks when that pipe is full.
        self._reader = Thread(target=self._lines.extend, args=(self._messages,), daemon=True)
        self._reader.start()

    def wait(self) -> int:
        """Wait for the end and return the exit status; negative is a signal's number."""
        status = self._process.wait()
        self._reader.join()
        return status

    def last_lines(self, count: int = 6) -> str:
        """Return its last messages as one line; complete after :meth:`wait`."""
        lines = (_ADDRESS.sub("", line.decode(errors="replace")).strip() for line in list(self._lines)[-count:])
        return " | ".join(line for line in lines if line)

    def kill(self) -> None:
        """End it at once, if it still runs, and close the pipes."""
        self._process.kill()
        with suppress(BrokenPipeError):  # what was still buffered has nowhere to go
            self.pipe.close()
        self.wait()
        self._messages.close()


@contextmanager
def reading(
    path: Path, kinds: str, what: str, *arguments: str, opening: tuple[str, ...] = ()
) -> Iterator[IO[bytes]]:
    """What ffmpeg makes of a file, as a pipe.

    ``kinds`` are the containers that it may open, since a playlist under a film's name could open any other
    file; ``what`` names what the file should have been; ``opening`` are arguments for how to read it.

    Raises:
        InputError: not a regular file, none of the kinds, or damaged.
    """
    source = (*opening, *_source(path, kinds, what))
    ffmpeg = Ffmpeg("-xerror", *source, *arguments, "pipe:1", stdin=False)
    try:
        yield ffmpeg.pipe
        while ffmpeg.pipe.read(2**20):  # what nobody read: a full pipe would keep ffmpeg from its end
            pass
        # ffmpeg calls a file that ends too early a success, but it does not keep silent about it.
        if ffmpeg.wait() != 0 or ffmpeg.last_lines():
            raise InputError(f"{path}: cannot be read as {what}: {_reason(path, ffmpeg.last_lines(_KEPT_LINES))}")
    finally:
        ffmpeg.kill()


def spoken(path: Path, kinds: str, what: str, *arguments: str, opening: tuple[str, ...] = ()) -> Iterator[str]:
    """What ffmpeg says, line by line, of a file that it reads to the end, writing nothing; see :func:`reading`.

    Raises:
        InputError: as :func:`reading`.
    """
    source = (*opening, *_source(path, kinds, what))
    ffmpeg = Ffmpeg("-xerror", *source, *arguments, "-f", "null", "-", stdin=False, talkative=True)
    faults: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        for line in ffmpeg.pipe:
            text = line.decode(errors="replace")
            if _FAULT.match(text):
                faults.append(text)
            yield text
        if ffmpeg.wait() != 0 or faults:
            raise InputError(f"{path}: cannot be read as {what}: {_reason(path, ' '.join(faults))}")
    finally:
        ffmpeg.kill()


def _source(path: Path, kinds: str, what: str) -> tuple[str, ...]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such {what.removeprefix('a ')} file: check the name")
    return ("-format_whitelist", kinds, "-i", f"file:{path}")


_MENDED = "mend what can be: ffmpeg -i {name} -c copy {other}"
_REASONS = (
    ("not on whitelist", "files of this kind are not opened; rewrap it: ffmpeg -i {name} -c copy {other}"),
    ("moov atom not found", "no index is in it: it is unfinished, only a part, or no film; export it again"),
    ("matches no streams", "there are no pictures in it"),
    ("ermission denied", "you may not read it"),
    ("ecoder not found", "its codec is unknown here; convert it to H.264 first"),
    ("no decoder found", "its codec is unknown here; convert it to H.264 first"),
    ("no path between colorspaces", "its colours are of a kind that is not converted here; convert it to BT.709"),
    ("o space left", "the disk is full"),
    ("corrupt input packet", f"parts of it are damaged; {_MENDED}"),
    ("Invalid frame dimensions", f"it begins in the middle of something; {_MENDED}"),
    ("non-existing PPS", f"it begins in the middle of something; {_MENDED}"),
    ("partial file", "it ends too early; copy or export it again"),
)
"""What ffmpeg says, and what that means to a person."""


def _reason(path: Path, lines: str) -> str:
    named = (f"./{part}" if part.startswith("-") else part for part in (str(path), str(path.with_suffix(".mkv"))))
    name, other = map(shlex.quote, named)
    for sign, meaning in _REASONS:
        if sign in lines:
            return meaning.format(name=name, other=other)
    return "it is damaged, or something else under this name; copy or export it again"
