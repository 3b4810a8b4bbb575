"""Attention processors of diffusers' networks, put in for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def processed(layers: Mapping[str, Any], make: Callable[[str], Any]) -> Iterator[None]:
    """Attention ``layers`` work by the processors that ``make`` gives for their names, in the ``with`` body."""
    originals = {name: layer.processor for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.set_processor(make(name))
        yield
    finally:
        for name, layer in layers.items():
            layer.set_processor(originals[name])
