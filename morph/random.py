"""Random numbers that depend on what they are for, never on what was drawn before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A CPU generator for (seed, purpose, index): independent of order, batch size and device."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def normal(shape: Sequence[int], seed: int, purpose: str, index: int = 0) -> Tensor:
    """Standard normal noise of this shape, float32 on the CPU, the same on every device."""
    return torch.randn(*shape, generator=generator(seed, purpose, index))
