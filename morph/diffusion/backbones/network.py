"""What diffusers' denoisers have in common, whatever they are made of."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

import torch
from torch import nn

from morph.diffusion.families import Edits


class Network:
    """A denoiser of diffusers, frozen.

    projected: what the names of its ``projections`` end in. rescaled: see
    :class:`morph.diffusion.prediction.Conditional`. edits: see :class:`morph.diffusion.parts.Denoiser`.
    """

    projected: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    rescaled = 0
    edits: Edits = ""

    def __init__(self, network: Any) -> None:
        self.network = network.eval().requires_grad_(False)

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return next(self.network.parameters()).dtype  # diffusers' own property walks all modules

    @property
    def channels(self) -> int:
        """Of the latents that it is shown."""
        return int(self.network.config.in_channels)

    @property
    def joined(self) -> Collection[str]:
        """See :class:`morph.diffusion.parts.Denoiser`; there are none."""
        return ()

    @cached_property
    def projections(self) -> dict[str, nn.Linear]:
        """See :class:`morph.diffusion.parts.Denoiser`; a text's own, where it has such, are not among them."""
        return {
            name: layer
            for name, layer in self.network.named_modules()
            if name.endswith(self.projected) and isinstance(layer, nn.Linear)
        }
