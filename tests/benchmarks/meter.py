"""What a run spends: seconds and U-Net forward equivalents by stage, and the memory it held at most."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.tasks.progress import Look
from tests.benchmarks.scaling import memory

OTHER = "other"
MIB = 2**20


class Meter:
    """Counts for whoever is measured, by hooks of its own: a claim of cost is not taken on trust.

    A forward of a batch counts once for each of its samples; one that is differentiated counts three times,
    since a backward pass costs two forwards. ``close`` takes the hook away again.
    """

    def __init__(self, unet: nn.Module) -> None:
        self.device = next(unet.parameters()).device
        self.seconds: dict[str, float] = defaultdict(float)
        self.forwards: dict[str, int] = defaultdict(int)
        self._stages: list[str] = []
        self._counted = 0
        self.close = unet.register_forward_hook(self._count).remove
        self._since = self._now()

    def _count(self, unet: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._counted += len(output.sample) * (3 if output.sample.requires_grad else 1)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what was asked for is not yet done
        return time.perf_counter()

    def lap(self) -> None:
        """Book what has been spent since the last time."""
        now, stage = self._now(), self._stages[-1] if self._stages else OTHER
        self.seconds[stage] += now - self._since
        self.forwards[stage] += self._counted
        self._since, self._counted = now, 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Book the ``with`` body under a name, but for stages inside it, which are booked under theirs."""
        self.lap()
        self._stages.append(name)
        try:
            yield
        finally:
            self.lap()
            self._stages.pop()

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The same function, always booked under a name."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **options)

        return call

    def tick(self, stage: str, step: int, of: int, preview: Look | None) -> None:
        """A pipeline's callback: all that no stage has claimed so far was spent on this one."""
        self.lap()
        self.seconds[stage] += self.seconds.pop(OTHER, 0.0)
        self.forwards[stage] += self.forwards.pop(OTHER, 0)


def forget_peak(device: torch.device) -> None:
    """Have ``peak`` count from here on: what loading took for a moment would hide what a run takes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: torch.device) -> float:
    """The most memory held since ``forget_peak``, in MiB: of the device, or of this process on a CPU."""
    return torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else memory("VmHWM")
