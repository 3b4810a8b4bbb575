"""Work that goes on in steps: a generator that yields each, and returns its result at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def _ignore(step: Any) -> None:
    """For who is only after the result."""


def drain(steps: Generator[S, None, T], tick: Callable[[S], None] = _ignore) -> T:
    """Run a generator to its end, handing ``tick`` what it yields after every step; what it returned.

    >>> latents = drain(ddim.sample(predict, model.schedule, noise, model.schedule.times(50)))
    >>> (fitted,) = drain(lora.fit(model, mean, std, condition, 0, **settings), lambda loss: print(loss))
    """
    with closing(steps):  # what it holds by a "with" is let go at once where a tick raises
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value
            tick(step)
