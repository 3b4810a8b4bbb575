"""How far a job has come, as people see it on a terminal, and as a log keeps it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self

from pipelines.cli.common import say
from pipelines.tasks.bar import ProgressBar
from pipelines.tasks.progress import Tally

if TYPE_CHECKING:  # --help waits for nothing
    from pipelines.tasks.progress import Callback, Look

PARTS = 10
"""Into how many parts a job is divided where lines tell how far it has come."""


class ProgressLines:
    """A plain line whenever another tenth of a job is done: a bar that is drawn anew makes no log."""

    def __init__(self, planned: Mapping[str, int]) -> None:
        self._tally = Tally(planned)
        self._part = 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Nothing is to be cleared away."""

    def __call__(self, stage: str, step: int, of: int, preview: Look | None = None) -> None:
        """Say how far a stage has brought the job, if that is much further than before."""
        if not self._tally.planned:
            return
        done, total = self._tally.told(stage, step, of)
        part = PARTS * done // max(1, total)
        if part > self._part:
            self._part = part
            gone = time.monotonic() - self._began
            say(f"{stage}: {100 * part // PARTS} %, {gone:.0f} s gone, {gone * (total - done) / done:.0f} s left")


def progress(planned: Mapping[str, int]) -> AbstractContextManager[Callback]:
    """A bar on a terminal, else lines; of what stages are planned to take."""
    return ProgressBar(planned) if sys.stderr.isatty() else ProgressLines(planned)
