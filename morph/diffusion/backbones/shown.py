"""Transformers that may be shown a picture, to be changed as a text says: its latents are further tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.backbones.transformer import Transformer, packed
from morph.diffusion.families import Edits


class Shown(Transformer):
    """A transformer of diffusers, whose tokens are patches of so many latents; edits: see :class:`Family`."""

    patch: int

    def __init__(self, network: Any, edits: Edits = "") -> None:
        super().__init__(network)
        self.edits = edits
        self._picture: Tensor | None = None
        self._guidance = 1.0

    @property
    def distilled(self) -> bool:
        """Whether it is told how far to be guided, by which one prediction does for two."""
        return bool(self.network.config.guidance_embeds)

    @contextmanager
    def shown(self, picture: Tensor, guidance: float = 1.0) -> Iterator[None]:
        """In the ``with`` body it is shown clean latents (1,C,h,w), and told a guidance if it can be."""
        self._picture, self._guidance = picture, guidance
        try:
            yield
        finally:
            self._picture, self._guidance = None, 1.0

    @property
    def picture_shape(self) -> tuple[int, int] | None:
        """Rows and columns of the tokens of the picture that it is shown; None without one."""
        if self._picture is None:
            return None
        height, width = (side // self.patch for side in self._picture.shape[2:])
        return height, width

    def tokens(self, latents: Tensor) -> Tensor:
        """Latents (B,C,h,w) as tokens (B,N,D) in its dtype, and the picture's behind them."""
        own = packed(latents, self.patch)
        if self._picture is not None:
            picture = packed(self._picture.to(latents), self.patch)
            own = torch.cat([own, picture.expand(len(latents), -1, -1)], 1)
        return own.to(self.dtype)

    def guidances(self, latents: Tensor) -> Tensor | None:
        """The guidance that it is told for each of the latents (B,C,h,w); None where it cannot be."""
        return torch.full((len(latents),), self._guidance, device=latents.device) if self.distilled else None
