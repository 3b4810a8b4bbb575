"""Many clips: one after the other here, or on a Ray cluster; :mod:`pipelines.batch.workers` has several processes.

Every clip is a job of its own in the batch's folder. Whatever runs where, the tasks and what they keep are the
same: clips share nothing, since what is fitted in another company of keyframes differs by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pipelines.batch.outcome import Outcome, outcome_of
from pipelines.batch.paths import absolute
from pipelines.batch.where import Where
from pipelines.batch.workers import local_runner
from pipelines.request.clip import Clip


def run_here(clips: Sequence[Clip], folder: Path, where: Where) -> Iterator[Outcome]:
    """One clip after the other, in this process."""
    for clip in clips:
        yield outcome_of(clip, folder, where, local_runner)


def run_ray(clips: Sequence[Clip], folder: Path, where: Where, address: str, at_once: int) -> Iterator[Outcome]:
    """Fits and segments of clips, ``at_once`` clips at a time, as tasks of a Ray cluster.

    Its machines see ``folder`` and the images under the same paths. ``address`` is the cluster's, or "local" for
    one on this machine alone.

    Raises:
        MorphError: Ray is not installed, or there is no cluster at that address.
    """
    from pipelines.batch.cluster import Cluster

    absolute_clips = [absolute(clip) for clip in clips]  # workers stand in folders of their own
    threads = ThreadPoolExecutor(at_once)
    try:
        with Cluster(address, where) as cluster:
            tasks = [
                threads.submit(outcome_of, clip, folder.absolute(), where, cluster.runner)
                for clip in absolute_clips
            ]
            yield from (task.result() for task in as_completed(tasks))
    finally:  # without the cluster, tasks that still run fail
        threads.shutdown(cancel_futures=True)
