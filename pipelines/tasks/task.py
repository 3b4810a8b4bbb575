"""The tasks that a clip is made of, as values that travel: its ``Work`` carries them out, here or elsewhere.

A task keeps what it makes, and does nothing that is kept already. So it may be run again, or on another machine,
and the frames are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from pipelines.between.placed import Placed, Shown
from pipelines.tasks.facts import Facts

Ends = tuple[str, str]
"""The names under which the fits of a way's keyframes are kept."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Work(Protocol):
    """Whoever makes one clip: of a model, or without one."""

    def facts(self) -> Facts:
        """What will make the clip.

        Raises:
            InputError: something that settings ask of the model cannot be had.
        """
        ...

    def embed(self) -> str | None:
        """Fit the texts of all keyframes, if the settings ask for it; a hash of them."""
        ...

    def fit(self, numbers: Sequence[int]) -> list[str]:
        """Fit the keyframes of these numbers side by side; the names under which the fits are kept."""
        ...

    def survey(self, number: int, ends: Ends, count: int) -> list[float]:
        """Measure the way of a number at ``count`` positions; LPIPS from each to the next."""
        ...

    def render(self, number: int, ends: Ends, count: int, steps: int) -> Iterator[Shown | Placed]:
        """The way of a number in ``steps`` steps, after a survey of ``count`` positions.

        What stands for good may be told as it comes, from the first frame on; all of it is told last.
        """
        ...


class Task(Protocol[T_co]):
    """Something to be done for a clip; ``stage`` is what people call it."""

    stage: ClassVar[str]

    def run(self, work: Work) -> Iterator[T_co]:
        """Do it, and give what it makes as soon as it is there."""
        ...


class Runner(Protocol):
    """Runs tasks of one kind, here one after the other, or elsewhere at the same time; results in their order."""

    def __call__(self, tasks: Sequence[Task[T]]) -> Iterator[T]:
        """What the tasks make, that of the first one first."""
        ...


@dataclass(frozen=True)
class FindFacts:
    """Find out what will make the clip; refuse what cannot."""

    stage: ClassVar[str] = "facts"

    def run(self, work: Work) -> Iterator[Facts]:
        """The facts."""
        yield work.facts()


@dataclass(frozen=True)
class Embed:
    """Fit the texts of all keyframes: they share a negative."""

    stage: ClassVar[str] = "embed"

    def run(self, work: Work) -> Iterator[str | None]:
        """A hash of the texts; None where none were fitted."""
        yield work.embed()


@dataclass(frozen=True)
class Fit:
    """Fit the keyframes of these numbers in one batch."""

    numbers: tuple[int, ...]
    stage: ClassVar[str] = "fit"

    def run(self, work: Work) -> Iterator[str]:
        """The name under which each is kept."""
        yield from work.fit(self.numbers)


@dataclass(frozen=True)
class Survey:
    """Measure a way at ``count`` positions."""

    number: int
    ends: Ends
    count: int
    stage: ClassVar[str] = "survey"

    def run(self, work: Work) -> Iterator[list[float]]:
        """LPIPS from each position to the next."""
        yield work.survey(self.number, self.ends, self.count)


@dataclass(frozen=True)
class Render:
    """Render a way in ``steps`` steps, after a survey of ``count`` positions."""

    number: int
    ends: Ends
    count: int
    steps: int
    stage: ClassVar[str] = "render"

    def run(self, work: Work) -> Iterator[Shown | Placed]:
        """Frames that stand for good, as they come, and at last all that rendering told."""
        yield from work.render(self.number, self.ends, self.count, self.steps)


def in_process(work: Work) -> Runner:
    """Tasks run one after the other, here, each as its results are asked for."""

    def run(tasks: Sequence[Task[T]]) -> Iterator[T]:
        for task in tasks:
            yield from task.run(work)

    return run
