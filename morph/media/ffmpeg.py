"""A running ffmpeg: the one that imageio-ffmpeg carries, without a shell, a terminal or a network."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

from morph.errors import EncodeError, InputError

_QUIET = ("-hide_banner", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe")
_LAST_LINES = 6


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
        lines = (line.decode(errors="replace").strip() for line in self._lines)
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
            raise InputError(f"{path}: cannot be read as {what}: {ffmpeg.last_lines()}")
    finally:
        ffmpeg.kill()
