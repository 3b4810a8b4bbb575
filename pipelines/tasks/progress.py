"""What callers are told while a clip is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # --help waits for nothing
    from PIL.Image import Image

Look = Callable[[], "Image"]
"""Makes a small picture of a frame that is being made; it costs something only when it is called."""


class Callback(Protocol):
    """Told after every step. What it raises ends the render, which can be taken up again from what is kept."""

    def __call__(self, stage: str, step: int, of: int, preview: Look | None) -> None:
        """``step`` of so many are done of a stage, in U-Net forward equivalents; a stage may end early.

        Of a clip without a model every frame that is laid is told, and both are 0.
        """
        ...


Bar = Callable[[Mapping[str, int]], AbstractContextManager[Callback]]
"""Of what stages are planned to take, makes what is told of them for as long as the context lasts."""


def quiet(stage: str, step: int, of: int, preview: Look | None) -> None:
    """A callback that tells nobody."""


class Meter:
    """Adds up what stages have spent, and tells a callback how far each has come of what was planned."""

    def __init__(self, planned: Mapping[str, int], callback: Callback) -> None:
        self.spent = dict.fromkeys(planned, 0)
        self._planned = planned
        self._callback = callback

    def __call__(self, stage: str, cost: int, preview: Look | None = None) -> None:
        """Count what a stage has just spent."""
        done = self.spent.get(stage, 0) + cost
        if done:  # of a clip without a model nothing is spent
            self.spent[stage] = done
        self._callback(stage, done, max(done, self._planned.get(stage, 0)), preview)


TURNS = {"invert", "render"}
"""Stages that frames in register go through batch by batch."""


class Tally:
    """Makes one measure of the whole work of what is told of each stage, in U-Net forward equivalents."""

    def __init__(self, planned: Mapping[str, int]) -> None:
        self.planned = planned
        self.spent = dict.fromkeys(planned, 0)

    def told(self, stage: str, step: int, of: int) -> tuple[int, int]:
        """How much is done, and of how much; stages before this one are over, whatever they had planned.

        But for those that it takes turns with.
        """
        self.spent[stage] = step
        order = list(self.planned)
        place = order.index(stage) if stage in order else len(order)
        turns = [name for name in order[:place] if {name, stage} == TURNS and self.spent[name]]
        others = [*order[place + 1 :], *turns]
        remaining = of - step + sum(max(0, self.planned[name] - self.spent[name]) for name in others)
        done = sum(self.spent.values())
        return done, done + remaining
