"""The denoiser of FLUX.2: FLUX.1's, but that blocks with one stream put attention beside their MLP.

Black Forest Labs, "FLUX.2", 2025, as diffusers has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.backbones.flux import Flux, turned
from morph.diffusion.backbones.network import Network
from morph.diffusion.backbones.transformer import grid, sigma
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Heard, Joint
from morph.diffusion.prediction import Control


class Flux2(Flux):
    """diffusers' Flux2Transformer2DModel, told a text's tokens and sigma; a token of a picture is one latent.

    One that was distilled for guidance is told 1, as FLUX.1 is. The blocks whose attention is shared lie as deep as
    those that were found in FLUX.1: by analogy. Of blocks with one stream, ``projections`` are those of attention
    and of the MLP in one, as they are stored.
    """

    title = "FLUX.2"
    projected = (*Network.projected, "attn.to_qkv_mlp_proj", "attn.to_out")

    @property
    def channels(self) -> int:
        """Of the latents that it is shown."""
        return int(self.network.config.in_channels)

    def processor(self, name: str, exchange: Exchange) -> Any:
        """See :class:`Transformer`."""
        if name.startswith("single"):
            return _ParallelAttention(name, exchange, self._text_tokens)
        return super().processor(name, exchange)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        height, width = latents.shape[2:]
        self._texts = condition.tokens.shape[1]
        # a place is in time, down, across, and in a text
        down, across, along = (torch.arange(count) for count in (height, width, self._texts))
        none = torch.zeros(1, dtype=torch.long)
        guided = torch.ones(len(latents), device=latents.device) if self.network.config.guidance_embeds else None
        said = self.network(
            latents.flatten(2).transpose(1, 2).to(self.dtype),
            condition.tokens.to(self.dtype),
            sigma(t, latents),
            torch.cartesian_prod(none, down, across, none).to(latents.device),
            torch.cartesian_prod(none, none, none, along).to(latents.device),
            guided,
            return_dict=False,
        )[0]
        return grid(said.float(), height)

    def picture(self, output: Any, latents: Tensor) -> Tensor:
        """See :class:`Transformer`; blocks with one stream say the text first."""
        tokens = output[1] if isinstance(output, tuple) else output[:, self._texts :]
        return grid(tokens, latents.shape[2])


@dataclass(frozen=True)
class _ParallelAttention:
    """Attention beside an MLP, as diffusers' own processor has it, of what an exchange says for the picture.

    Dehghani et al., "Scaling Vision Transformers to 22 Billion Parameters", 2023, eq. 2.
    """

    name: str
    exchange: Exchange
    texts: Any

    def __call__(
        self,
        layer: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        assert image_rotary_emb is not None
        count = self.texts()
        projected = layer.to_qkv_mlp_proj(hidden_states)
        attended, rest = projected.tensor_split([3 * layer.inner_dim], -1)
        query, keys, values = (
            part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in attended.chunk(3, -1)
        )
        query, keys = turned(layer.norm_q(query), image_rotary_emb), turned(layer.norm_k(keys), image_rotary_emb)
        heard = self.exchange(self.name, lambda: Heard(keys[:, :, count:], values[:, :, count:]))
        heard = heard.beside(keys[:, :, :count], values[:, :, :count])
        answers = heard.answer(query, Joint(slice(count, None), count))
        answer: Tensor = layer.to_out(torch.cat([answers, layer.mlp_act_fn(rest)], -1))
        return answer
