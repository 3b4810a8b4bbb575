"""One writer at a time of an output that has no job, and what an earlier one left unfinished when it was killed."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from morph.errors import InputError
from morph.media.stills import remove_temporaries

_MARK = 12
"""Letters of a mark, as of a job's, see :func:`pipelines.job.folder.mark`."""


@contextmanager
def sole_writer(output: Path, folders: Iterable[Path]) -> Iterator[str]:
    """Hold ``output``, whose files are in ``folders``, while the ``with`` body writes it; yields their mark.

    What a run of before left there under that mark is removed: it belongs to this machine and this output, and
    whoever holds it is alone.

    Raises:
        InputError: another process of this machine writes it.
    """
    held = hashlib.sha256(f"{socket.gethostname()}\n{output.absolute()}".encode()).hexdigest()[:_MARK]
    file = Path(tempfile.gettempdir()) / f"morph-{held}.lock"
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{output} is being written by another process; wait for it, or stop it") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be made ({error.strerror}); it keeps {output} for one writer") from None
    try:
        for folder in folders:
            remove_temporaries(folder, held)
        yield held
    finally:
        with suppress(OSError):
            file.unlink()
        lock.release()
