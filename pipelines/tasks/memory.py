"""Batches that fit into memory, on any device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger("morph")


class Tiled(Protocol):
    """A model whose autoencoder can work in tiles."""

    @property
    def tiled(self) -> bool:
        """Whether it does."""

    def tile(self, tiles: bool = True) -> None:
        """From now on in tiles, or whole again."""


class Batches:
    """Work in batches of ``size``, which is halved where memory runs out; then the autoencoder works in tiles."""

    def __init__(self, model: Tiled, size: int) -> None:
        self._model = model
        self._size = size
        model.tile(False)  # whatever another clip needed

    def each(self, run: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
        """``run`` on all items, as many at once as memory has room for."""
        done: list[R] = []

        def part(batch: int) -> Sequence[R]:
            return run(items[len(done) : len(done) + batch])

        while len(done) < len(items):
            done += self.halving(part)
        return done

    def alone(self, run: Callable[[], T]) -> T:
        """``run``, whose work cannot be divided; where memory runs out, the autoencoder works in tiles.

        A fit is such work: optimisers make much of how a batch rounds, so each is made without others beside it.

        Raises:
            MemoryError, RuntimeError: memory has no room even so.
        """
        try:
            return run()
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error) or self._model.tiled:
                raise
        _release()
        self._tile()
        return run()

    def _tile(self) -> None:
        self._model.tile()
        log.warning("out of memory: going on with the autoencoder in tiles, which can leave faint seams")

    def halving(self, run: Callable[[int], T]) -> T:
        """``run`` with the size of batch that fits.

        Raises:
            MemoryError, RuntimeError: memory has no room even for one, in tiles.
        """
        while True:
            try:
                return run(self._size)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error) or (self._size == 1 and self._model.tiled):
                    raise
            _release()
            if self._size > 1:
                self._size //= 2
                log.warning("out of memory: going on with batches of %d", self._size)
            else:
                self._tile()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device; torch has no common type for it."""
    full = "can't allocate memory" in str(error) or "out of memory" in str(error).lower()
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and full)


def _release() -> None:
    """Give back what the failed batch still holds of a GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
