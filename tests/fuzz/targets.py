"""Every reader of a file that somebody else may have made, with what its own writer makes, to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from tests.fuzz import jobs, models, pictures, spaces, texts, videos
from tests.fuzz.mutate import Mutation, damaged

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A reader: ``read`` takes the file called ``name`` in a folder, where ``prepare`` made what else it needs.

    seeds: what writers made. mutations: how these are changed, besides bytes. share: of the time, next to others.
    """

    name: str
    read: Read
    seeds: Callable[[], list[bytes]]
    mutations: tuple[Mutation, ...] = ()
    prepare: Callable[[Path], None] | None = None
    share: float = 1.0

    def inputs(self, random: Random) -> Iterator[bytes]:
        """Seeds as they are, then changed ones without end; of these some are changed again."""
        seeds = cached(self)
        yield from seeds
        while True:
            data = random.choice(seeds)
            for _ in range(random.choice((1, 1, 1, 2))):
                structural = self.mutations and random.random() < 0.7
                data = (random.choice(self.mutations) if structural else damaged)(random, data)
            yield data


@cache
def cached(target: Target) -> list[bytes]:
    """A target's seeds, made once."""
    return target.seeds()


def targets() -> dict[str, Target]:
    """All of them, by their names."""
    listed = [
        *(Target(*row) for row in jobs.ROWS),
        *(Target(*row) for row in texts.ROWS),
        *(Target(*row) for row in models.ROWS),
        *(Target(*row) for row in videos.ROWS),
        *(Target(*row) for row in pictures.ROWS),
        *(Target(*row) for row in spaces.ROWS),
    ]
    return {target.name: target for target in listed}


def json_seed(value: object) -> bytes:
    """A value as JSON."""
    return json.dumps(value).encode()
