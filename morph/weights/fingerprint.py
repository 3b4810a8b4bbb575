"""Which weights a model has, as a short hash."""

from __future__ import annotations

import hashlib

from torch import nn


def fingerprint(start: str, *networks: nn.Module, rounded: bool = False) -> str:
    """A hash of ``start`` and of samples of every tensor; ``rounded``, as bfloat16 has them."""
    digest = hashlib.blake2b(start.encode(), digest_size=8)
    for network in networks:
        for tensor in network.state_dict().values():
            flat = tensor.detach().flatten()
            samples = flat[:: max(1, len(flat) // 64)]
            samples = samples.bfloat16() if rounded and samples.is_floating_point() else samples
            digest.update(samples.float().cpu().numpy().tobytes())
    return digest.hexdigest()
