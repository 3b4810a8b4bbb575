"""Feeds a target with inputs for some time, or so many, and keeps those with which something went wrong."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.targets import Target
from tests.fuzz.watch import Escape, watched

SAME = 3
"""Of escapes that look alike, how many are kept."""


@dataclass
class Found:
    """What came of a target: how many inputs, how many of them were accepted, and what went wrong."""

    inputs: int = 0
    accepted: int = 0
    escapes: list[tuple[bytes, Escape]] = field(default_factory=list)


class Fuzzer:
    """A target in a folder of its own, whose inputs follow from ``seed``."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._folder = Path(tempfile.mkdtemp(prefix="morph-fuzz-"))
        self._inputs = target.inputs(Random(f"{target.name} {seed}"))
        self._kinds: Counter[str] = Counter()
        self.found = Found()
        self._fresh()

    def run(self, seconds: float, most: int = sys.maxsize) -> None:
        """Go on for so long, or for so many inputs."""
        end = time.monotonic() + seconds
        for _ in range(most):
            self.feed(next(self._inputs))
            if time.monotonic() > end:
                break

    def feed(self, data: bytes) -> Escape | None:
        """Read one input; what went wrong, if anything did."""
        path = self._folder / self._target.name
        path.write_bytes(data)
        accepted, escape = watched(lambda: self._target.read(self._folder))
        self.found.inputs += 1
        self.found.accepted += accepted
        if escape:
            where = escape.trace.strip().split("\n")
            kind = f"{escape.what[:40]} {where[-3] if len(where) > 2 else ''}"
            self._kinds[kind] += 1
            if self._kinds[kind] <= SAME:
                self.found.escapes.append((data, escape))
        if self.found.inputs % 500 == 0 or escape or self._is_untidy():
            self._fresh()
        return escape

    def _is_untidy(self) -> bool:
        """Whether a reader removed its folder, or left much in it."""
        return not self._folder.is_dir() or len(os.listdir(self._folder)) > 20

    def close(self) -> None:
        """Remove what it needed."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _fresh(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        if self._target.prepare:
            self._target.prepare(self._folder)
