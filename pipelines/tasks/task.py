"""The tasks that a clip is made of, as values that travel: its ``Maker`` carries them out, here or elsewhere.

A task keeps what it makes, and does nothing that is kept already. So it may be run again, or on another machine,
and the frames are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from pipelines.between.rendered_way import Curve, RenderedWay, WayFrames
from pipelines.tasks.facts import Facts

FitNames = tuple[str, str]
"""The names under which the fits of a way's two keyframes are kept."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Maker(Protocol):
    """Carries out a clip's tasks.

    With a diffusion model, ``DiffusionMaker``; with a video model, ``VideoMaker``; without, ``DissolveMaker``.
    """

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
        """Fit the keyframes of these numbers; the names under which the fits are kept."""
        ...

    def survey(self, number: int, names: FitNames, positions: int) -> Curve:
        """Measure the way of a number at so many positions."""
        ...

    def render(self, number: int, names: FitNames, positions: int, steps: int) -> Iterator[WayFrames | RenderedWay]:
        """The way of a number in ``steps`` steps, after a survey of so many positions.

        Its first frames may be told as soon as they are final; all of it is told last.
        """
        ...


class Task(Protocol[T_co]):
    """Something to be done for a clip; ``stage`` is what people call it."""

    stage: ClassVar[str]

    def run(self, maker: Maker) -> Iterator[T_co]:
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

    def run(self, maker: Maker) -> Iterator[Facts]:
        """The facts."""
        yield maker.facts()


@dataclass(frozen=True)
class Embed:
    """Fit the texts of all keyframes: they share a negative."""

    stage: ClassVar[str] = "embed"

    def run(self, maker: Maker) -> Iterator[str | None]:
        """A hash of the texts; None where none were fitted."""
        yield maker.embed()


@dataclass(frozen=True)
class Fit:
    """Fit the keyframes of these numbers, each by itself."""

    numbers: tuple[int, ...]
    stage: ClassVar[str] = "fit"

    def run(self, maker: Maker) -> Iterator[str]:
        """The name under which each is kept."""
        yield from maker.fit(self.numbers)


@dataclass(frozen=True)
class Survey:
    """Measure a way at so many positions."""

    number: int
    names: FitNames
    positions: int
    stage: ClassVar[str] = "survey"

    def run(self, maker: Maker) -> Iterator[Curve]:
        """What is known of it."""
        yield maker.survey(self.number, self.names, self.positions)


@dataclass(frozen=True)
class Render:
    """Render a way in ``steps`` steps, after a survey of so many positions."""

    number: int
    names: FitNames
    positions: int
    steps: int
    stage: ClassVar[str] = "render"

    def run(self, maker: Maker) -> Iterator[WayFrames | RenderedWay]:
        """Frames that are final, as they come, and at last all that rendering told."""
        yield from maker.render(self.number, self.names, self.positions, self.steps)


def in_process(maker: Maker) -> Runner:
    """Tasks run one after the other, here, each as its results are asked for."""

    def run(tasks: Sequence[Task[T]]) -> Iterator[T]:
        for task in tasks:
            yield from task.run(maker)

    return run
