"""One bar over a whole job, so that its time left means the whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from pipelines.tasks.progress import Tally

if TYPE_CHECKING:
    from pipelines.tasks.progress import Callback, Look


class ProgressBar:
    """A bar that is drawn as a job goes on; there is none where nothing is planned.

    ``kind`` makes it: ``tqdm.tqdm``, or ``tqdm.auto.tqdm``, which draws a notebook's own.
    """

    def __init__(self, planned: Mapping[str, int], kind: Callable[..., Any] | None = None) -> None:
        from tqdm import tqdm

        self._tally = Tally(planned)
        self._bar = (kind or tqdm)(
            total=sum(planned.values()),
            bar_format="{desc:<18}{percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} left",
            file=sys.stderr,
            leave=False,
            mininterval=0.5,
            disable=not planned,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._bar.close()

    def __call__(self, stage: str, step: int, of: int, preview: Look | None = None) -> None:
        """Show how far a stage has come."""
        done, self._bar.total = self._tally.told(stage, step, of)
        self._bar.set_description_str(stage, refresh=False)
        self._bar.update(done - self._bar.n)


class LateBar:
    """A bar that is not drawn before there is something to tell; another callback is told as well.

    It goes at the end of a ``with``, and comes back in another one.
    """

    def __init__(self, planned: Mapping[str, int], callback: Callback) -> None:
        self._planned = planned
        self._callback = callback
        self._bar: ProgressBar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._bar:
            self._bar.__exit__()
            self._bar = None

    def __call__(self, stage: str, step: int, of: int, preview: Look | None) -> None:
        """Show how far a stage has come."""
        from tqdm.auto import tqdm

        self._bar = self._bar or ProgressBar(self._planned, tqdm)
        self._bar(stage, step, of)
        self._callback(stage, step, of, preview)
