"""What denoisers that are transformers have in common: blocks in a row, and no ControlNet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.diffusion.backbones.network import Network
from morph.diffusion.backbones.processors import processed
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Site
from morph.diffusion.prediction import Control
from morph.diffusion.schedule import PARTS
from morph.errors import ModelError

_LOOKED_AT = (0.4, 0.7)
"""How deep, as a share of all blocks, its middle layers lie."""


class Transformer(Network, ABC):
    """A transformer of diffusers. title: of its family, for people."""

    title: str
    controlnet = None

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """All blocks, from the first to the last."""

    @property
    @abstractmethod
    def sites(self) -> Sequence[Site]:
        """See :class:`morph.diffusion.parts.Denoiser`."""

    @abstractmethod
    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""

    @abstractmethod
    def processor(self, name: str, exchange: Exchange) -> Any:
        """A processor of diffusers that has the attention of a name hear what an exchange says for the picture."""

    @abstractmethod
    def picture(self, output: Any, latents: Tensor) -> Tensor:
        """What a block says (B,C,h,w), token by token, of the picture whose latents these are."""

    @property
    def networks(self) -> list[nn.Module]:
        """All that computes in its dtype."""
        return [self.network]

    def exchanging(self, exchange: Exchange, names: Sequence[str]) -> AbstractContextManager[None]:
        """See :class:`morph.diffusion.parts.Denoiser`; what is exchanged is the picture's, the text stays."""
        layers = {name: self.network.get_submodule(name) for name in names}
        return processed(layers, lambda name: self.processor(name, exchange))

    def guide(self, controlnet: Any) -> None:
        """Refuse: the ControlNets that are supported are those of U-Nets."""
        raise ModelError(f"{self.title} takes no ControlNet here: leave it out")

    def way_up(self, latents: Tensor, t: int, condition: Condition) -> list[Tensor]:
        """What two of its middle blocks say."""
        said: list[Tensor] = []
        handles = [
            self.blocks[int(share * len(self.blocks))].register_forward_hook(
                lambda block, inputs, output: said.append(self.picture(output, latents))
            )
            for share in _LOOKED_AT
        ]
        try:
            self.output(latents, t, condition.expand(len(latents)))
        finally:
            for handle in handles:
                handle.remove()
        return said


def sigma(t: int | Tensor, latents: Tensor) -> Tensor:
    """A flow's time, or one for each of the latents (B,C,h,w), as sigma (B,) float32."""
    return torch.as_tensor(t, device=latents.device, dtype=torch.float32).expand(len(latents)) / PARTS


def grid(tokens: Tensor, height: int) -> Tensor:
    """Tokens (B,N,C) of a picture, row after row, where they stand in it: (B,C,height,w)."""
    return tokens.transpose(1, 2).unflatten(2, (height, -1))


def packed(latents: Tensor, patch: int) -> Tensor:
    """Latents (B,C,h,w) as tokens (B,N,C patch^2), each of a patch so many latents wide, row after row."""
    return F.pixel_unshuffle(latents, patch).flatten(2).transpose(1, 2)


def unpacked(tokens: Tensor, height: int, patch: int) -> Tensor:
    """Latents (B,C,h,w) of tokens that stand in so many rows: what :func:`packed` was given."""
    return F.pixel_shuffle(grid(tokens, height), patch)
