"""The denoiser of FLUX.1: blocks with a stream for text and one for the picture, then blocks with one for both.

Black Forest Labs, "FLUX.1", 2024, as diffusers has it.
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
from morph.diffusion.families import Edits
from morph.diffusion.prediction import Control

PATCH = 2
"""How many latents a token is wide."""
_BY_CONTENT = 0, 7, 8, 9, 10, 18, 25, 28, 37, 42, 45, 50, 56
"""Blocks, of 57, that look for what resembles them and not for what stands at their place (Wei et al., "FreeFlux",
2025); where pictures have other layouts, the others' keys and values bring both of these."""
_BLOCKS = 57


class Flux(Shown):
    """diffusers' FluxTransformer2DModel, told T5's tokens, a vector for the whole text, and sigma.

    One that was distilled for guidance is told 1, which is none: as all others, it is guided by two predictions.
    While Kontext is shown a picture it is told how far to be guided (Black Forest Labs, "FLUX.1 Kontext: Flow
    Matching for In-Context Image Generation and Editing in Latent Space", 2025).
    """

    title = "FLUX.1"
    patch = PATCH

    def __init__(self, network: Any, edits: Edits = "") -> None:
        super().__init__(network, edits)
        self._texts = 0

    @property
    def channels(self) -> int:
        """Of the latents that it is shown."""
        return int(self.network.config.in_channels) // PATCH**2

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """See :class:`Transformer`."""
        return [*self.network.transformer_blocks, *self.network.single_transformer_blocks]

    @property
    def sites(self) -> list[Site]:
        """All blocks' attention; shared is that of blocks that look for content, or as deep ones elsewhere."""
        double, count = len(self.network.transformer_blocks), len(self.blocks)
        shared = {round(number * (count - 1) / (_BLOCKS - 1)) for number in _BY_CONTENT}
        names = [
            f"transformer_blocks.{number}.attn"
            if number < double
            else f"single_transformer_blocks.{number - double}.attn"
            for number in range(count)
        ]
        return [Site(name, "joint", number / count, number in shared) for number, name in enumerate(names)]

    def processor(self, name: str, exchange: Exchange) -> Any:
        """See :class:`Transformer`."""
        return _JointAttention(name, exchange, self._text_tokens)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        if condition.pooled is None:
            raise ValueError("this model takes a vector for the whole text, and the condition has none")
        height, width = (side // PATCH for side in latents.shape[2:])
        places = _places(0, height, width)
        if self.picture_shape:
            places = torch.cat([places, _places(1, *self.picture_shape)])
        places = places.to(latents)
        self._texts = condition.tokens.shape[1]
        said = self.network(
            self.tokens(latents),
            condition.tokens.to(self.dtype),
            condition.pooled.to(self.dtype),
            sigma(t, latents),
            places,
            places.new_zeros(self._texts, 3),
            self.guidances(latents),
            return_dict=False,
        )[0][:, : height * width]
        return unpacked(said.float(), height, PATCH)

    def picture(self, output: Any, latents: Tensor) -> Tensor:
        """See :class:`Transformer`; blocks of both kinds say the text first."""
        return grid(output[1], latents.shape[2] // PATCH)

    def _text_tokens(self) -> int:
        """How many of the text stand before the picture's, in the prediction that is being made."""
        return self._texts


def _places(number: int, height: int, width: int) -> Tensor:
    """Where tokens stand (N,3), row after row: the number of their picture, row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.full_like(rows, number), rows, columns], -1).flatten(0, 1)


@dataclass(frozen=True)
class _JointAttention:
    """Attention, as diffusers' own processor has it, of what an exchange says for the picture's tokens."""

    name: str
    exchange: Exchange
    texts: Any

    def __call__(
        self,
        layer: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Any:
        assert image_rotary_emb is not None
        count, (cosines, sines) = self.texts(), image_rotary_emb
        if encoder_hidden_states is None:
            text, picture = hidden_states[:, :count], hidden_states[:, count:]
            to_text = layer.to_q, layer.norm_q, layer.to_k, layer.norm_k, layer.to_v
        else:
            text, picture = encoder_hidden_states, hidden_states
            to_text = (
                *(layer.add_q_proj, layer.norm_added_q, layer.add_k_proj, layer.norm_added_k),
                layer.add_v_proj,
            )

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)

        def placed(x: Tensor, start: int) -> Tensor:
            around = slice(start, start + x.shape[2])
            return turned(x, (cosines[around], sines[around]))

        def own() -> Heard:
            keys = placed(layer.norm_k(heads(layer.to_k(picture))), count)
            return Heard(keys, heads(layer.to_v(picture)))

        heard = self.exchange(self.name, own)
        text_q, text_norm_q, text_k, text_norm_k, text_v = to_text
        query = placed(layer.norm_q(heads(layer.to_q(picture))), count)
        text_query = placed(text_norm_q(heads(text_q(text))), 0)
        keys, values = placed(text_norm_k(heads(text_k(text))), 0), heads(text_v(text))
        answers = heard.beside(keys, values).answer(
            torch.cat([text_query, query], 2), Joint(slice(count, None), count)
        )
        if encoder_hidden_states is None:
            return answers
        of_text, of_picture = answers.split([count, picture.shape[1]], 1)
        project, dropout = layer.to_out
        return dropout(project(of_picture)), layer.to_add_out(of_text)


def turned(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (B,H,S,D) by their places, whose cosines and sines (S,D) are given."""
    from diffusers.models.embeddings import apply_rotary_emb  # not for films without a model

    places: Any = rotation
    return cast(Tensor, apply_rotary_emb(x, places))
