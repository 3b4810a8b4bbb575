"""How long each stage of a job took, run by run: one that finds all kept does not hide what making it took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pipelines.tasks.store import FITS, FRAMES, RECORD
from pipelines.tasks.task import Runner, T, Task

RUNS = "runs.jsonl"
KEEPING = ("embed", "fit", "survey", "render")
"""Stages whose work is kept; the others are done in every run."""


@dataclass(frozen=True)
class Stage:
    """A stage of a run: wall time, waiting for workers included.

    kept: everything that it makes was there already. ended: it came to its end; a broken-off one did not.
    """

    name: str
    seconds: float
    kept: bool
    ended: bool


@dataclass(frozen=True)
class Run:
    """The stages of one run in their order; ``started`` is a date and time with its offset."""

    started: str
    stages: list[Stage]


class Stopwatch:
    """Times the stages of one run of the job in ``folder``, and writes each to ``RUNS`` there as it ends.

    A job that has made nothing yet is left without that file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = datetime.now().astimezone().isoformat()
        self._unwritten: list[Stage] = []

    def timed(self, runner: Runner) -> Runner:
        """The same runner; all tasks that it is given together are a stage."""

        def run(tasks: Sequence[Task[T]]) -> Iterator[T]:
            with self.stage(tasks[0].stage):
                yield from runner(tasks)

        return run

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the ``with`` body."""
        began, before = time.monotonic(), _work_stamps(self._folder)
        stage = Stage(name, 0.0, kept=False, ended=False)
        try:
            yield
            stage = replace(stage, ended=True)
        finally:
            after, seconds = _work_stamps(self._folder), round(time.monotonic() - began, 3)
            kept = name in KEEPING and stage.ended and before == after
            self._unwritten.append(replace(stage, seconds=seconds, kept=kept))
            if after:
                self._write()

    def _write(self) -> None:
        lines = [json.dumps({"run": self._started, **vars(stage)}) for stage in self._unwritten]
        self._unwritten = []
        with suppress(OSError), (self._folder / RUNS).open("a") as file:  # no render fails for want of its times
            file.write("\n" + "\n".join(lines) + "\n")  # a line that was torn by a kill ends here


def read_runs(folder: Path) -> list[Run]:
    """All runs of a job that made something or found it made, in their order."""
    runs: dict[str, list[Stage]] = {}
    with suppress(FileNotFoundError):
        for line in (folder / RUNS).read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
                runs.setdefault(entry.pop("run"), []).append(Stage(**entry))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # empty, or torn by a kill
                continue
    return [Run(started, stages) for started, stages in runs.items()]


def _work_stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """What the folder's work leaves traces in: all that is fitted, and the record of every reel."""
    stamps = {}
    for path in (*folder.glob(f"{FITS}/*"), *folder.glob(f"{FRAMES}/*/{RECORD}")):
        with suppress(FileNotFoundError):
            status = path.stat()
            stamps[path] = (status.st_size, status.st_mtime_ns)
    return stamps
