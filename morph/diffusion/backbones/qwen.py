"""The denoiser of Qwen-Image: blocks with a stream for text and one for the picture, told by a language model.

Wu et al., "Qwen-Image Technical Report", 2025, section 2, as diffusers has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from morph.diffusion.backbones.shown import Shown
from morph.diffusion.backbones.transformer import grid, sigma, unpacked
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Heard, Joint, Site
from morph.diffusion.prediction import Control

PATCH = 2
"""How many latents a token is wide."""


class QwenImage(Shown):
    """diffusers' QwenImageTransformer2DModel, told tokens of texts, which of them count, and sigma."""

    title = "Qwen-Image"
    rescaled = patch = PATCH

    @property
    def channels(self) -> int:
        """Of the latents that it is shown."""
        return int(self.network.config.in_channels) // PATCH**2

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """See :class:`Transformer`."""
        return list(self.network.transformer_blocks)

    @property
    def sites(self) -> list[Site]:
        """All blocks' attention; shared is the second half's, by analogy.

        What a picture means is settled in earlier blocks, and its details in later ones (Li et al., "Unraveling
        MMDiT Blocks", 2026); which of these look for content nobody has told.
        """
        count = len(self.blocks)
        return [
            Site(f"transformer_blocks.{number}.attn", "joint", number / count, number >= count // 2)
            for number in range(count)
        ]

    def processor(self, name: str, exchange: Exchange) -> _Attention:
        """See :class:`Transformer`."""
        return _Attention(name, exchange)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        if condition.mask is None:
            raise ValueError("this model is told which tokens count, and the condition does not say")
        height, width = (side // PATCH for side in latents.shape[2:])
        # texts are filled up to one length for all, most of which would be computed for nothing
        longest = int(condition.mask.sum(1).max())
        mask = condition.mask[:, :longest]
        said = self.network(
            self.tokens(latents),
            condition.tokens[:, :longest].to(self.dtype),
            None if mask.all() else mask,
            sigma(t, latents),
            [[(1, *shape) for shape in ((height, width), self.picture_shape) if shape]] * len(latents),
            return_dict=False,
        )[0][:, : height * width]
        return unpacked(said.float(), height, PATCH)

    def picture(self, output: Any, latents: Tensor) -> Tensor:
        """See :class:`Transformer`."""
        return grid(output[1], latents.shape[2] // PATCH)


@dataclass(frozen=True)
class _Attention:
    """Attention, as diffusers' own processor has it, of what an exchange says for the picture's tokens."""

    name: str
    exchange: Exchange

    def __call__(
        self,
        layer: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        # its neighbours in diffusers take longer to import than all else that a small model needs
        from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen

        assert image_rotary_emb is not None
        text, (of_places, of_words) = encoder_hidden_states, image_rotary_emb

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)

        def placed(x: Tensor, norm: Any, rotation: Tensor) -> Tensor:
            turned: Any = apply_rotary_emb_qwen(norm(x.unflatten(-1, (layer.heads, -1))), rotation, use_real=False)
            return cast(Tensor, turned).transpose(1, 2)

        def own() -> Heard:
            keys = placed(layer.to_k(hidden_states), layer.norm_k, of_places)
            return Heard(keys, heads(layer.to_v(hidden_states)))

        answer = self.exchange(self.name, own)
        query = placed(layer.to_q(hidden_states), layer.norm_q, of_places)
        text_query = placed(layer.add_q_proj(text), layer.norm_added_q, of_words)
        keys = placed(layer.add_k_proj(text), layer.norm_added_k, of_words)
        answer = answer.beside(keys, heads(layer.add_v_proj(text)), encoder_hidden_states_mask)
        texts = text.shape[1]
        answers = answer.answer(torch.cat([text_query, query], 2), Joint(slice(texts, None), texts))
        of_text, of_picture = answers.split([texts, hidden_states.shape[1]], 1)
        project, dropout = layer.to_out
        return dropout(project(of_picture)), layer.to_add_out(of_text)
