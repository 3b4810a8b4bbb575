"""A Ray cluster: a clip's tasks on any of its machines. The only file that knows Ray."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from morph.errors import MorphError
from morph.installed import how_to_install
from pipelines.batch.where import Where, loaded, needs
from pipelines.request.plan import Plan
from pipelines.tasks.maker import maker_of
from pipelines.tasks.task import Maker, Runner, T, Task

RETRIES = 3
"""How often Ray starts a task again whose worker died; it goes on from what is kept."""


class Cluster:
    """A connection to Ray, for the length of a ``with`` body.

    Each task is given the share of GPUs and cores that ``where`` says; fractions share a device.

    Raises:
        MorphError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str, where: Where) -> None:
        self._address = address
        self._where = where

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
        try:
            import ray
        except ImportError:
            raise MorphError(f"Ray is not installed; {how_to_install('ray')}") from None
        quiet = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
        try:
            ray.init(address=self._address, include_dashboard=None, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise MorphError(f"there is no Ray cluster at {self._address}: {reason}") from error
        gpus = self._where.gpus
        if gpus is None:
            gpus = float(self._where.device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0)
        self._task = ray.remote(num_gpus=gpus, num_cpus=self._where.cpus, max_retries=RETRIES)(_task)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        ray.shutdown()

    def runner(self, plan: Plan, folder: Path, where: Where) -> Runner:
        """Runs a clip's tasks, all that it is given together at the same time."""
        import ray

        def run(tasks: Sequence[Task[T]]) -> Iterator[T]:
            running = [self._task.remote(plan, folder, where, task) for task in tasks]
            try:
                for reference in running:
                    yield from ray.get(reference)
            except ray.exceptions.RayError as failure:
                # none may go on writing once the job is let go; to cancel one that is done can abort Ray 2.60
                _, pending = ray.wait(running, num_returns=len(running), timeout=0)
                for task in pending:
                    ray.cancel(task, force=True)
                if isinstance(failure, ray.exceptions.RayTaskError):
                    raise failure.cause from None
                raise MorphError(f"a task {tasks[0].stage} failed on the cluster: {failure}") from failure

        return run


def _task(plan: Plan, folder: Path, where: Where, task: Task[T]) -> list[T]:
    """One of a clip's tasks, on a worker of the cluster, which keeps what it has loaded for the next."""
    return list(task.run(_work(plan, folder, where)))


@functools.lru_cache(maxsize=1)
def _work(plan: Plan, folder: Path, where: Where) -> Maker:
    return maker_of(loaded(*needs(plan.clip), where.device, where.dtype, where.offload), plan, folder)
