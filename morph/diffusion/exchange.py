"""What one attention of a denoiser hears, open to exchange: whose keys and values its queries are answered from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Heard(NamedTuple):
    """Keys and values (B,H,S,D) of H heads, after all that a network does to them, and what scores are raised by.

    ``bias`` is (B,1,1,S), or None: nothing is added.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor | None = None


Exchange = Callable[[str, Callable[[], Heard]], Heard]
"""The name of an attention, and how to have its own keys and values, to what it hears instead.

Those are its own: of the prediction that is being made. They are computed only when they are asked for.
"""
