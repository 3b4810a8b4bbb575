"""Runs a reader on one input: what it raises, how long it takes on the processor, and the memory it takes."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from morph.errors import MorphError

SECONDS = 5.0
"""Of processor time, for one answer."""
MEMORY = 1024**3
"""Bytes more than before, for one answer."""
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Late(BaseException):
    """No answer in ``SECONDS``; nothing that catches Exception catches it."""


@dataclass(frozen=True)
class Escape:
    """What went wrong with an input: an exception that is not ours, a late answer, or too much memory."""

    what: str
    trace: str = ""


def watched(read: Callable[[], object]) -> tuple[bool, Escape | None]:
    """Whether a reader took its input, and what went wrong if anything did."""
    before = _restart_peak()
    began = time.process_time()
    accepted = False
    try:
        with _alarm():
            read()
        accepted = True
    except MorphError as error:
        if "\0" in str(error) or not str(error).strip():
            return False, Escape(f"a message that says nothing, or has a NUL: {error!r}")
    except Late:
        return False, Escape(f"no answer in {SECONDS:g} s", traceback.format_exc())
    except Exception as error:
        return False, Escape(f"{type(error).__name__}: {str(error)[:200]}", traceback.format_exc())
    if (taken := time.process_time() - began) > SECONDS:
        return accepted, Escape(f"an answer after {taken:.1f} s")
    if (memory := _peak() - before) > MEMORY:
        return accepted, Escape(f"{memory / 2**20:.0f} MiB of memory")
    return accepted, None


@contextmanager
def _alarm() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Late

    previous = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def _restart_peak() -> int:
    """Forget the highest memory so far, where the system can; what is taken now."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")
    return _peak()


def _peak() -> int:
    if not _STATUS.exists():
        return 0
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
