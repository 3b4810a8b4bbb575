"""A running ffmpeg: the one that imageio-ffmpeg carries, without a shell, a terminal or a network."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

from morph.errors import EncodeError, InputError

_ALONE = ("-hide_banner", "-nostdin", "-protocol_whitelist", "file,pipe")
_QUIET = (*_ALONE, "-v", "error")
_LAST_LINES = 6
_ADDRESS = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ?")
"""Where in its memory a part of ffmpeg is that says something."""


class Ffmpeg:
    """One running ffmpeg with one pipe, to its stdin or from its stdout, and its last messages.

    Names of files must reach it as ``file:`` arguments.

    Raises:
        EncodeError: it cannot be started.
    """

    def __init__(self, *arguments: str, stdin: bool) -> None:
        import imageio_ffmpeg

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
        lines = (_ADDRESS.sub("", line.decode(errors="replace")).strip() for line in self._lines)
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
    if not path.is_file():
        raise InputError(f"{path}: there is no such {what.removeprefix('a ')} file: check the name")
    source = (*opening, "-format_whitelist", kinds, "-i", f"file:{path}")
    ffmpeg = Ffmpeg("-xerror", *source, *arguments, "pipe:1", stdin=False)
    try:
        yield ffmpeg.pipe
        while ffmpeg.pipe.read(2**20):  # what nobody read: a full pipe would keep ffmpeg from its end
            pass
        # ffmpeg calls a file that ends too early a success, but it does not keep silent about it.
        if ffmpeg.wait() != 0 or ffmpeg.last_lines():
            raise InputError(f"{path}: cannot be read as {what}: {_reason(path, ffmpeg.last_lines())}")
    finally:
        ffmpeg.kill()


def spoken(path: Path, kinds: str, what: str, *arguments: str) -> Iterator[str]:
    """What ffmpeg says, line by line, of a file that it reads to the end, writing nothing; see :func:`reading`.

    Raises:
        InputError: as :func:`reading`.
    """
    import imageio_ffmpeg

    if not path.is_file():
        raise InputError(f"{path}: there is no such {what.removeprefix('a ')} file: check the name")
    command = (
        *(imageio_ffmpeg.get_ffmpeg_exe(), *_ALONE, "-v", "level+info", "-nostats", "-xerror"),
        *("-format_whitelist", kinds, "-i", f"file:{path}", *arguments, "-f", "null", "-"),
    )
    errors: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "[error]" in line or "[fatal]" in line:
                    errors.append(line.strip())
                yield line
        finally:
            process.kill()
    if errors:
        raise InputError(f"{path}: cannot be read as {what}: {_reason(path, ' | '.join(errors))}")


_REASONS = (
    ("not on whitelist", "files of this kind are not opened; rewrap it: ffmpeg -i {name} -c copy {stem}.mkv"),
    (
        "moov atom not found",
        "no index is in it: it is unfinished, only a part, or no film; export it again",
    ),
    ("matches no streams", "there are no pictures in it"),
    ("ermission denied", "you may not read it"),
    ("ecoder not found", "its codec is unknown here; convert it to H.264 first"),
    ("no decoder found", "its codec is unknown here; convert it to H.264 first"),
    ("o space left", "the disk is full"),
    ("corrupt input packet", "parts of it are damaged; mend what can be: ffmpeg -i {name} -c copy {stem}.mkv"),
    ("partial file", "it ends too early; copy or export it again"),
)
"""What ffmpeg says, and what that means to a person."""


def _reason(path: Path, lines: str) -> str:
    for sign, meaning in _REASONS:
        if sign in lines:
            return meaning.format(name=path.name, stem=path.stem)
    return "it is damaged, or something else under this name; copy or export it again"
