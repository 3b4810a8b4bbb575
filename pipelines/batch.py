"""Many clips: one after the other, on several processes of this machine, or on a Ray cluster.

Every clip is a job of its own in the batch's folder. Whatever runs where, the tasks and what they keep are the
same: clips share nothing, since what is fitted in another company of keyframes differs by rounding.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import MorphError
from morph.media.stills import atomic_path
from pipelines.clip import Clip
from pipelines.job import opened
from pipelines.produce import produce

if TYPE_CHECKING:
    from pipelines.models import Models
    from pipelines.sequence import Tasks

ATTEMPTS = 3
"""How often a clip is started whose worker dies."""
REPORT = "report.json"


@dataclass(frozen=True)
class Where:
    """Where a batch computes: as for one clip, and on a cluster each task's share of a machine's GPUs and cores."""

    device: str = "auto"
    dtype: str = "auto"
    change: bool = False
    gpus: float = 0.0
    cpus: float = 1.0


TasksOf = Callable[[Clip, Path, Where], "Tasks"]
"""Who does a clip's work."""


@dataclass(frozen=True)
class Outcome:
    """What became of one clip of a batch; ``error`` is one line, empty if it is done."""

    name: str
    output: str
    frames: int
    seconds: float
    max_mean_gap: float | None = None
    error: str = ""


def run_here(clips: Sequence[Clip], folder: Path, where: Where) -> Iterator[Outcome]:
    """One clip after the other, in this process."""
    for clip in clips:
        yield _outcome(clip, folder, where, _local_tasks)


def run_workers(clips: Sequence[Clip], folder: Path, where: Where, workers: int) -> Iterator[Outcome]:
    """Clips on so many processes of this machine, in the order in which they are done.

    A worker that dies takes the others with it; what was not done is started again, and goes on from its job.
    """
    left = dict.fromkeys(range(len(clips)), ATTEMPTS)
    while left:
        context = get_context("spawn")
        counter = context.Value("i", 0)
        pool = ProcessPoolExecutor(workers, context, _start_worker, (workers, counter))
        with pool:
            running = {pool.submit(_outcome, clips[n], folder, where, _local_tasks): n for n in left}
            try:
                while running:
                    ready, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ready:
                        number = running[future]
                        outcome = future.result()  # a broken pool raises here
                        del running[future], left[number]
                        yield outcome
            except BrokenProcessPool:
                for number in list(left):
                    left[number] -= 1
                    if not left[number]:
                        del left[number]
                        yield Outcome(clips[number].name, str(clips[number].output), 0, 0.0, error=_DIED)
            except BaseException:  # Ctrl-C: those that have not begun do not begin
                pool.shutdown(wait=False, cancel_futures=True)
                raise


_DIED = f"its worker died {ATTEMPTS} times, perhaps for want of memory: try fewer --workers"


def run_ray(clips: Sequence[Clip], folder: Path, where: Where, address: str, at_once: int) -> Iterator[Outcome]:
    """Fits and segments of clips, ``at_once`` clips at a time, as tasks of a Ray cluster.

    Its machines see ``folder`` and the images under the same paths. ``address`` is the cluster's, or "local" for
    one on this machine alone.

    Raises:
        MorphError: Ray is not installed, or there is no cluster at that address.
    """
    from pipelines.cluster import Cluster

    with Cluster(address, where.gpus, where.cpus) as cluster, ThreadPoolExecutor(at_once) as threads:
        yield from as_done([threads.submit(_outcome, clip, folder, where, cluster.tasks) for clip in clips])


def as_done(running: Sequence[Future[Outcome]]) -> Iterator[Outcome]:
    """Outcomes in the order in which they come; what has not begun when that is broken off does not begin."""
    left = set(running)
    try:
        while left:
            ready, left = wait(left, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ready)
    finally:
        for future in left:
            future.cancel()


def save_report(folder: Path, outcomes: Sequence[Outcome], **said: Any) -> None:
    """Write what became of a batch as JSON into its folder."""
    with atomic_path(folder / REPORT) as partial:
        content = {**said, "clips": [asdict(outcome) for outcome in outcomes]}
        partial.write_text(json.dumps(content, indent=2) + "\n")


def table(outcomes: Sequence[Outcome]) -> str:
    """The same for people, as a Markdown table."""
    lines = ["| clip | frames | max/mean gap | seconds | |", "|---|---|---|---|---|"]
    for one in outcomes:
        gap = "" if one.max_mean_gap is None else f"{one.max_mean_gap:.2f}"
        said = f"failed: {one.error}" if one.error else one.output
        lines.append(f"| {one.name} | {one.frames or ''} | {gap} | {one.seconds:.0f} | {said} |")
    return "\n".join(lines)


def _outcome(clip: Clip, folder: Path, where: Where, tasks_of: TasksOf) -> Outcome:
    """Render one clip; an error becomes a line of the report."""
    started = time.monotonic()
    error, frames, gap = "", 0, None
    own = folder / clip.name
    try:
        with opened(own, clip, where.change):
            produced = produce(clip, tasks_of(clip, own, where), own)
        frames, gap = len(produced.alphas), round(produced.evenness.max_mean_gap, 4)
    except Exception as failure:  # whatever it is, the other clips go on
        kind = "" if isinstance(failure, MorphError) else f"{type(failure).__name__}: "
        error = " ".join(f"{kind}{failure}".split())
    seconds = round(time.monotonic() - started, 2)
    return Outcome(clip.name, str(clip.output), frames, seconds, gap, error)


@functools.lru_cache(maxsize=1)
def loaded(model: str, controlnet: str | None, device: str, dtype: str) -> Models:
    """The models of a process, the last that it was asked for."""
    from pipelines.models import Models

    return Models.from_pretrained(model, controlnet=controlnet, device=device, dtype=dtype)


def _local_tasks(clip: Clip, folder: Path, where: Where) -> Tasks:
    from pipelines.work import Work, in_process

    return in_process(
        Work(loaded(clip.model, clip.controlnet, _own_device(where.device), where.dtype), clip, folder)
    )


_number = 0


def _start_worker(workers: int, counter: Any) -> None:
    """A share of the cores for each worker, and a GPU each where there are several."""
    global _number
    import torch

    from pipelines.models import quiet_libraries

    quiet_libraries()
    with counter.get_lock():
        _number = counter.value
        counter.value += 1
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def _own_device(device: str) -> str:
    """One of several GPUs for each worker, unless a device is named by its number."""
    import torch

    if device in ("auto", "cuda") and torch.cuda.device_count() > 1:
        return f"cuda:{_number % torch.cuda.device_count()}"
    return device
