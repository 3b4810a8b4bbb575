"""The denoiser of Stable Diffusion 3 and 3.5, a transformer whose attention is of a picture and its text together.

Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from morph.diffusion.backbones.transformer import Transformer, grid, sigma
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Heard, Joint, Site
from morph.diffusion.prediction import Control

_TIMES = 1000
"""What the network is told for sigma 1."""


class SD3(Transformer):
    """diffusers' SD3Transformer2DModel, told tokens, a vector for the whole text, and times."""

    title = "Stable Diffusion 3"

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """See :class:`Transformer`."""
        return list(self.network.transformer_blocks)

    @cached_property
    def sites(self) -> list[Site]:
        """All attention; some blocks have a second one, of the picture alone. Shared is the second half's."""
        kinds: dict[str, Literal["joint", "self"]] = {"attn": "joint", "attn2": "self"}
        count = len(self.blocks)
        return [
            Site(f"transformer_blocks.{number}.{part}", kind, number / count, number >= count // 2)
            for number, block in enumerate(self.blocks)
            for part, kind in kinds.items()
            if getattr(block, part, None) is not None
        ]

    def processor(self, name: str, exchange: Exchange) -> _JointAttention:
        """See :class:`Transformer`."""
        return _JointAttention(name, exchange)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        if condition.pooled is None:
            raise ValueError("this model takes a vector for the whole text, and the condition has none")
        tokens, pooled = condition.tokens.to(self.dtype), condition.pooled.to(self.dtype)
        time = sigma(t, latents) * _TIMES
        velocity = self.network(latents.to(self.dtype), tokens, pooled, time, return_dict=False)[0]
        return velocity.float()

    def picture(self, output: Any, latents: Tensor) -> Tensor:
        """See :class:`Transformer`."""
        return grid(output[1], latents.shape[2] // self.network.config.patch_size)


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
        joint = Joint(slice(query.shape[2]), text.shape[1])
        answers = heard.beside(keys, values).answer(queries, joint)
        of_picture, of_text = answers.split([hidden_states.shape[1], text.shape[1]], 1)
        return dropout(project(of_picture)), of_text if layer.context_pre_only else layer.to_add_out(of_text)
