"""The denoiser of Stable Diffusion 3 and 3.5, a transformer whose attention is of a picture and its text together.

Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024, section 4.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.backbones.network import Network
from morph.diffusion.backbones.processors import processed
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Heard
from morph.diffusion.prediction import Control
from morph.diffusion.schedule import PARTS
from morph.errors import ModelError

_TIMES = 1000
"""What the network is told for sigma 1."""
_LOOKED_AT = (0.4, 0.7)
"""How deep, as a share of all blocks, its middle layers lie."""


class SD3(Network):
    """diffusers' SD3Transformer2DModel, told tokens, a vector for the whole text, and times."""

    controlnet = None

    @property
    def networks(self) -> list[nn.Module]:
        """All that computes in its dtype."""
        return [self.network]

    @cached_property
    def shared_sites(self) -> list[str]:
        """All attention in the second half of the blocks."""
        count = len(self.network.transformer_blocks)
        blocks = {number: self.network.transformer_blocks[number] for number in range(count // 2, count)}
        return [
            f"transformer_blocks.{number}.{part}"
            for number, block in blocks.items()
            for part in ("attn", "attn2")
            if getattr(block, part, None) is not None
        ]

    def exchanging(self, exchange: Exchange) -> AbstractContextManager[None]:
        """See :class:`morph.diffusion.parts.Denoiser`; what is exchanged is the picture's, the text stays."""
        layers = {name: self.network.get_submodule(name) for name in self.shared_sites}
        return processed(layers, lambda name: _JointAttention(name, exchange))

    def guide(self, controlnet: Any) -> None:
        """Refuse: the ControlNets that are supported are those of U-Nets."""
        raise ModelError("Stable Diffusion 3 takes no ControlNet here: leave it out")

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        if condition.pooled is None:
            raise ValueError("this model takes a vector for the whole text, and the condition has none")
        time = torch.as_tensor(t, device=latents.device, dtype=torch.float32).expand(len(latents)) * (
            _TIMES / PARTS
        )
        tokens, pooled = condition.tokens.to(self.dtype), condition.pooled.to(self.dtype)
        velocity = self.network(latents.to(self.dtype), tokens, pooled, time, return_dict=False)[0]
        return velocity.float()

    def way_up(self, latents: Tensor, t: int, condition: Condition) -> list[Tensor]:
        """What two of its middle blocks say."""
        said: list[Tensor] = []
        blocks = self.network.transformer_blocks
        handles = [
            blocks[int(share * len(blocks))].register_forward_hook(
                lambda block, inputs, output: said.append(output[1])
            )
            for share in _LOOKED_AT
        ]
        try:
            self.output(latents, t, condition.expand(len(latents)))
        finally:
            for handle in handles:
                handle.remove()
        height = latents.shape[2] // self.network.config.patch_size
        return [tokens.transpose(1, 2).unflatten(2, (height, -1)) for tokens in said]


@dataclass(frozen=True)
class _JointAttention:
    """Attention, as diffusers' own processor has it, of what an exchange says for the picture's tokens."""

    name: str
    exchange: Exchange

    def __call__(
        self, layer: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **others: object
    ) -> Any:
        def heads(x: Tensor, norm: Any = None) -> Tensor:
            split = x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            return split if norm is None else norm(split)

        def own() -> Heard:
            keys, values = layer.to_k(hidden_states), layer.to_v(hidden_states)
            return Heard(heads(keys, layer.norm_k), heads(values))

        heard = self.exchange(self.name, own)
        query, text = heads(layer.to_q(hidden_states), layer.norm_q), encoder_hidden_states
        project, dropout = layer.to_out
        if text is None:
            return dropout(project(heard.answer(query)))
        keys, values = heads(layer.add_k_proj(text), layer.norm_added_k), heads(layer.add_v_proj(text))
        queries = torch.cat([query, heads(layer.add_q_proj(text), layer.norm_added_q)], 2)
        answers = heard.beside(keys, values).answer(queries)
        of_picture, of_text = answers.split([hidden_states.shape[1], text.shape[1]], 1)
        return dropout(project(of_picture)), of_text if layer.context_pre_only else layer.to_add_out(of_text)
