"""A person chooses among the candidates for an anchor, on the terminal or in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from morph.errors import SettingsError
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import atomic_path, write_png
from pipelines.cli.common import aside_of_bars, say
from pipelines.job.aside import CHOICES, check_choice, read_choices


class Person:
    """Writes a sheet of each anchor's candidates to a folder and asks which one to take.

    On the sheet every row is one candidate between its parents, with its number and its score; ``scored`` tells
    what that means. What ``choices.json`` in the folder already answers, such as {"0.5": 3}, is not asked again;
    every answer is added to it, so that the same render needs no person the next time.
    """

    def __init__(self, folder: Path, scored: str) -> None:
        self._folder = folder
        self._scored = scored
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / CHOICES
        self._choices = read_choices(folder)

    def __call__(
        self, alpha: float, candidates: Tensor, left: Tensor, right: Tensor, scores: Sequence[float]
    ) -> int:
        """The index of the chosen candidate."""
        count, best = len(candidates), scores.index(max(scores)) + 1
        rows = torch.cat([torch.cat([left, candidate[None], right]) for candidate in candidates])
        labels = [
            f"{number}  {score:+.4f}{'  highest' if number == best else ''}"
            for number, score in enumerate(scores, 1)
        ]
        sheet = self._folder / f"anchor-{alpha:.6f}.png"
        write_png(sheet, contact_sheet(list(to_uint8(rows)), 3, labels=labels))
        key = str(alpha)
        if (choice := self._choices.get(key)) is not None:
            say(f"the anchor at {alpha} is number {choice}, says {self._file}")
        else:
            choice = self._ask(alpha, sheet, count, best)
            self._choices[key] = choice
            with atomic_path(self._file) as partial:
                partial.write_text(json.dumps(self._choices, indent=2) + "\n")
        return check_choice(self._folder, key, choice, count) - 1

    def _ask(self, alpha: float, sheet: Path, count: int, best: int) -> int:
        if self._scored:  # once is enough
            say(f"\nscores are {self._scored}")
            self._scored = ""
        if not sys.stdin.isatty():
            raise SettingsError(
                f"nobody to ask about the anchor at {alpha}: look at {sheet} and write its number, 1 to {count}, "
                f'into {self._file} as {{"{alpha}": {best}}}, the highest score, then give the command again'
            )
        say(f"The anchor at {alpha}: {sheet} shows {count} candidates, each between its parents.")
        with aside_of_bars():
            return int(click.prompt("Which one", type=click.IntRange(1, count), default=best, err=True))
