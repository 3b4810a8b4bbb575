"""Many clips: one after the other, on several processes of this machine, or on a Ray cluster.

Every clip is a job of its own in the batch's folder. Whatever runs where, the tasks and what they keep are the
same: clips share nothing, since what is fitted in another company of keyframes differs by rounding.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import MorphError
from morph.media.stills import atomic_path
from pipelines.batch.where import TasksOf, Where, loaded, needs
from pipelines.job.folder import opened
from pipelines.job.produce import produce
from pipelines.manifest.confined import MODELS
from pipelines.request.clip import Clip
from pipelines.request.settings import Settings, changed, every_setting, keys, naming

if TYPE_CHECKING:
    from pipelines.tasks.sequence import Tasks

ATTEMPTS = 3
"""How often a clip is started whose worker dies."""
REPORT, CLIPS = "report.json", "clips"


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

    A worker that dies takes those that run beside it with it. All of these are started again, one at a time, so
    that the guilty one is found, and go on from their jobs.
    """
    waiting, suspects = deque(range(len(clips))), deque[int]()
    left = dict.fromkeys(waiting, ATTEMPTS)
    while waiting or suspects:
        queue, room = (suspects, 1) if suspects else (waiting, workers)
        running: dict[Future[Outcome], int] = {}
        with _pool(workers) as pool:
            try:
                while queue or running:
                    while queue and len(running) < room:
                        job = pool.submit(_outcome, clips[queue[0]], folder, where, _local_tasks)
                        running[job] = queue.popleft()  # a broken pool takes none
                    ready, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ready:
                        outcome = future.result()  # of a broken pool it raises
                        del running[future]
                        yield outcome
            except BrokenProcessPool:
                for number in running.values():
                    left[number] -= 1
                    if left[number]:
                        suspects.append(number)
                    else:
                        yield Outcome(clips[number].name, str(clips[number].output), 0, 0.0, error=_DIED)


_DIED = f"its worker died {ATTEMPTS} times, perhaps for want of memory"


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which end with the body: at once when it is broken off, as by Ctrl-C."""
    context = get_context("spawn")
    before = set(context.active_children())
    pool = ProcessPoolExecutor(workers, context, _start_worker, (workers, context.Value("i", 0)))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for process in set(context.active_children()) - before:
            process.kill()  # what they had not finished is made again
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def run_ray(clips: Sequence[Clip], folder: Path, where: Where, address: str, at_once: int) -> Iterator[Outcome]:
    """Fits and segments of clips, ``at_once`` clips at a time, as tasks of a Ray cluster.

    Its machines see ``folder`` and the images under the same paths. ``address`` is the cluster's, or "local" for
    one on this machine alone.

    Raises:
        MorphError: Ray is not installed, or there is no cluster at that address.
    """
    from pipelines.batch.cluster import Cluster

    everywhere = [absolute(clip) for clip in clips]  # workers stand in folders of their own
    threads = ThreadPoolExecutor(at_once)
    try:
        with Cluster(address, where) as cluster:
            tasks = [threads.submit(_outcome, clip, folder.absolute(), where, cluster.tasks) for clip in everywhere]
            yield from (task.result() for task in as_completed(tasks))
    finally:  # without the cluster, tasks that still run fail
        threads.shutdown(cancel_futures=True)


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


def absolute(clip: Clip) -> Clip:
    """The clip with all its paths from the root on."""

    def whole(name: str, known: tuple[str, ...]) -> str:
        return name if name in known or not name or not Path(name).exists() else str(Path(name).absolute())

    def settled(settings: Settings) -> Settings:
        flat, about = keys(settings), {key: every_setting()[key].about for key in naming("file", "weights")}
        read = [key for key, one in about.items() if one.scope != "encode"]  # by workers; the rest is read here
        return changed(settings, {key: whole(flat[key], about[key].known) for key in read})

    return replace(
        clip,
        keyframes=tuple(
            replace(entry, image=entry.image.absolute(), settings=settled(entry.settings))
            for entry in clip.keyframes
        ),
        settings=settled(clip.settings),
        output=clip.output.absolute(),
        model=whole(clip.model, MODELS["model"]),
        controlnet=whole(clip.controlnet, MODELS["controlnet"]) if clip.controlnet else None,
    )


def _outcome(clip: Clip, folder: Path, where: Where, tasks_of: TasksOf) -> Outcome:
    """Render one clip; an error becomes a line of the report."""
    started = time.monotonic()
    error, frames, gap = "", 0, None
    own = folder / CLIPS / clip.name
    try:
        with opened(own, clip, where.change):
            produced = produce(clip, tasks_of(clip, own, where), own)
        frames, gap = len(produced.alphas), round(produced.evenness.max_mean_gap, 4)
    except Exception as failure:  # whatever it is, the other clips go on
        kind = "" if isinstance(failure, MorphError) else f"{type(failure).__name__}: "
        error = " ".join(f"{kind}{failure}".split())
    seconds = round(time.monotonic() - started, 2)
    return Outcome(clip.name, str(clip.output), frames, seconds, gap, error)


def _local_tasks(clip: Clip, folder: Path, where: Where) -> Tasks:
    from pipelines.tasks.work import in_process, work_of

    return in_process(work_of(loaded(*needs(clip), _own_device(where.device), where.dtype), clip, folder))


_number = 0


def _start_worker(workers: int, counter: Any) -> None:
    """A share of the cores for each worker, and a GPU each where there are several."""
    global _number
    import torch

    from pipelines.tasks.models import quiet_libraries

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
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
