"""What makes pictures of codes: the one view that every way of finding directions has of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

Shifts = Tensor
"""What is added to codes: (N,D)."""


@dataclass(frozen=True)
class Points:
    """N places in a generator's space: their codes (N,D), and what else their pictures are made of, (N,...) each.

    Indexed by rows, it gives those of some.
    """

    codes: Tensor
    rest: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Points:
        return Points(self.codes[rows], {name: value[rows] for name, value in self.rest.items()})

    def repeated(self, count: int) -> Points:
        """Each of them ``count`` times, one after the other."""
        return self[torch.arange(len(self)).repeat_interleave(count)]

    @classmethod
    def cat(cls, points: Sequence[Points]) -> Points:
        """One after the other."""
        names = points[0].rest
        rest = {name: torch.cat([one.rest[name] for one in points]) for name in names}
        return cls(torch.cat([one.codes for one in points]), rest)


class Generator(Protocol):
    """From codes of D numbers to pictures. ``name`` is for people; ``shape`` is how the D numbers are laid out.

    ``fingerprint`` is a hash that no other model and no other space of it shares: directions of the one mean
    nothing in another. ``settings`` are the plain values that it is opened with again.
    """

    @property
    def name(self) -> str:
        """The model and the space, for people."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one code; their product is D."""

    @property
    def fingerprint(self) -> str:
        """See the class."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """See the class."""

    def sample(self, count: int, seed: int) -> Points:
        """``count`` places, drawn by a seed; a place does not depend on how many are drawn."""

    def project(self, pictures: Tensor) -> Points:
        """The places whose pictures are nearest to these (N,3,H,W) in [-1,1], of the generator's size."""

    def coded(self, pictures: Tensor) -> Tensor:
        """The codes (N,D) of :meth:`project` alone, which some spaces find sooner."""

    def picture(self, points: Points, shifts: Shifts | None = None) -> Tensor:
        """Pictures (N,3,H,W) in [-1,1] of places moved by ``shifts`` (N,D), with gradients to the shifts."""

    def weights(self) -> Tensor:
        """The weights (O,D) of the layers that see a code first.

        Raises:
            ModelError: there are none in this space.
        """


Scorer = Callable[[Tensor], Tensor]
"""Pictures (N,3,H,W) in [-1,1] to a number each (N,), with gradients."""

BATCH = 8
"""Pictures that are made at once where no gradients are asked for."""


@torch.no_grad()
def pictures_of(generator: Generator, points: Points, shifts: Shifts | None = None) -> Tensor:
    """:meth:`Generator.picture` without gradients, batch by batch: pictures (N,3,H,W) in [-1,1]."""
    rows = torch.arange(len(points)).split(BATCH)
    made = [generator.picture(points[part], None if shifts is None else shifts[part]) for part in rows]
    return torch.cat(made).clamp(-1, 1)


@torch.no_grad()
def scores_of(scorer: Scorer, pictures: Tensor) -> Tensor:
    """A scorer's numbers (N,) of pictures (N,3,H,W), without gradients, batch by batch."""
    return torch.cat([scorer(part) for part in pictures.split(BATCH)])
