"""The last results of something slow, kept by what they were made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Latest(Generic[K, V]):
    """The values of the last ``most`` keys that were asked for.

    It knows no more than these. An object that keeps its own method under ``functools.lru_cache`` holds itself, and
    with it pictures that nobody needs any more, until Python looks for such circles.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[K, V] = {}

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """The value of a key, made if it is not kept."""
        value = self._kept.pop(key) if key in self._kept else make(key)
        self._kept[key] = value  # the last of all
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return value
