"""Clips on several processes of this machine."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.batch.outcome import Outcome, outcome_of
from pipelines.batch.where import Where, loaded, needs
from pipelines.request.clip import Clip
from pipelines.request.plan import Plan

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from pipelines.tasks.task import Runner

ATTEMPTS = 3
"""How often a clip is started whose worker dies."""
_DIED = f"its worker died {ATTEMPTS} times, perhaps for want of memory"


def run_workers(clips: Sequence[Clip], folder: Path, where: Where, workers: int) -> Iterator[Outcome]:
    """Clips on so many processes of this machine, in the order in which they are done.

    A worker that dies takes those that run beside it with it. All of these are started again, one at a time, so
    that the guilty one is found, and go on from their jobs.
    """
    waiting, suspects = deque(range(len(clips))), deque[int]()
    attempts_left = dict.fromkeys(waiting, ATTEMPTS)
    while waiting or suspects:
        queue, room = (suspects, 1) if suspects else (waiting, workers)
        running: dict[Future[Outcome], int] = {}
        with _pool(workers) as pool:
            try:
                while queue or running:
                    while queue and len(running) < room:
                        future = pool.submit(outcome_of, clips[queue[0]], folder, where, local_runner)
                        running[future] = queue.popleft()  # a broken pool takes none
                    ready, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ready:
                        outcome = future.result()  # of a broken pool it raises
                        del running[future]
                        yield outcome
            except BrokenProcessPool:
                for number in running.values():
                    attempts_left[number] -= 1
                    if attempts_left[number]:
                        suspects.append(number)
                    else:
                        yield Outcome(clips[number].name, str(clips[number].output), 0, 0.0, error=_DIED)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which end with the body: at once when it is broken off, as by Ctrl-C."""
    context = get_context("spawn")
    children_before = set(context.active_children())
    pool = ProcessPoolExecutor(workers, context, _start_worker, (workers, context.Value("i", 0)))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for process in set(context.active_children()) - children_before:
            process.kill()  # what they had not finished is made again
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def local_runner(plan: Plan, folder: Path, where: Where) -> Runner:
    """Runs a clip's tasks in this process, on the device that is its share."""
    from pipelines.tasks.maker import maker_of
    from pipelines.tasks.task import in_process

    models = loaded(*needs(plan.clip), _worker_device(where.device), where.dtype, where.offload)
    return in_process(maker_of(models, plan, folder))


_number = 0


def _start_worker(workers: int, counter: Synchronized[int]) -> None:
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


def _worker_device(device: str) -> str:
    """One of several GPUs for each worker, unless a device is named by its number."""
    import torch

    if device in ("auto", "cuda") and torch.cuda.device_count() > 1:
        return f"cuda:{_number % torch.cuda.device_count()}"
    return device
