"""What decoders raise, and a guard that keeps what those written in C print to stderr off the screen.

What is wrong is told once, in one line.
"""

from __future__ import annotations

import os
import re
import struct
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    RuntimeError,  # of HEIC's
)
"""What Pillow's decoders are known to raise on a damaged file."""
_NOT_SAID = (LookupError, TypeError, ArithmeticError, MemoryError, struct.error, RuntimeError, SyntaxError)
"""Errors whose own words tell people nothing."""
_OF_NO_USE = re.compile("decoder error|could not create decoder|failed to decode next frame")
_STDERR = 2
_CHATTER = re.compile(
    rb"libpng (warning|error): |\[ ?(WARN|ERROR|INFO|FATAL)[:@]|(Corrupt|Premature|Invalid|Unsupported) .*JPEG"
    rb"|(?!\w*(Error|Exception|Interrupt|Exit|Group)\b)[\w.]+: .*\.\n"  # libtiff: where, and a sentence
)
"""How lines of libtiff, libpng, libjpeg and OpenCV begin."""
_lock = threading.Lock()
_depth = 0
_real: int | None = None
_caught: int | None = None


def words_of(error: Exception) -> str:
    """What a decoder says of a damaged file, in one line; nothing where that would tell people nothing."""
    return "" if isinstance(error, _NOT_SAID) or _OF_NO_USE.match(str(error)) else " ".join(str(error).split())


@contextmanager
def quiet() -> Iterator[None]:
    """Let libtiff, libpng, libjpeg and OpenCV print nothing while the ``with`` body runs.

    They print from C to file descriptor 2, and none of them can be told not to through Pillow or OpenCV: Pillow
    leaves libtiff's handlers as they are, and OpenCV libpng's. So the descriptor itself leads to a temporary file
    for as long as anybody decodes. It belongs to all threads: they share one redirection, and what is caught and is
    no such library's line, as another thread's message, is printed once the last of them is through. A process that
    another thread starts meanwhile would inherit the file; ours all have pipes of their own.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _depth, _real, _caught
    with _lock:
        _depth += 1
        if _depth > 1:
            return
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        try:
            _real = os.dup(_STDERR)
        except OSError:  # there is no stderr that could be printed to
            return
        with tempfile.TemporaryFile() as file:
            _caught = os.dup(file.fileno())
        os.dup2(_caught, _STDERR)


def _leave() -> None:
    global _depth, _real, _caught
    with _lock:
        _depth -= 1
        if _depth or _real is None or _caught is None:
            return
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(_real, _STDERR)
        with open(_caught, "rb") as file:
            file.seek(0)
            others = b"".join(line for line in file if not _CHATTER.match(line))
        if others:
            os.write(_real, others)
        os.close(_real)
        _real = _caught = None
