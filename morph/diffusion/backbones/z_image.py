"""The denoiser of Z-Image: blocks with one stream, of a picture and behind it the text.

Z-Image Team, "Z-Image: An Efficient Image Generation Foundation Model with Single-Stream Diffusion Transformer",
2025, as diffusers has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.backbones.transformer import Transformer, grid, sigma
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Heard, Joint, Site
from morph.diffusion.families import Z_IMAGE, Z_IMAGE_FILLED
from morph.diffusion.prediction import Control


class ZImage(Transformer):
    """diffusers' ZImageTransformer2DModel, told a language model's tokens, as many as a text has, and 1 - sigma."""

    title = Z_IMAGE.title

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self._tokens = 0

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """See :class:`Transformer`; before them are two or so of a picture's own, and of a text's."""
        return list(self.network.layers)

    @property
    def sites(self) -> list[Site]:
        """All blocks' attention; shared is that of the second half."""
        count = len(self.blocks)
        return [
            Site(f"layers.{number}.attention", "joint", number / count, number >= count // 2)
            for number in range(count)
        ]

    @cached_property
    def projections(self) -> dict[str, nn.Linear]:
        """See :class:`morph.diffusion.parts.Denoiser`; those of a text's own blocks are not among them."""
        return {
            name: layer for name, layer in super().projections.items() if not name.startswith("context_refiner")
        }

    @property
    def joined(self) -> Collection[str]:
        """See :class:`morph.diffusion.parts.Denoiser`; those that pictures and texts come in by."""
        return {
            name for name, _ in self.network.named_modules() if name.startswith(("all_x_embedder", "cap_embedder"))
        }

    def processor(self, name: str, exchange: Exchange) -> _Attention:
        """See :class:`Transformer`."""
        return _Attention(name, exchange, self._picture_tokens)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        if condition.mask is None:
            raise ValueError("this model takes texts as long as they are, and the condition does not say how long")
        self._tokens = (latents.shape[2] // Z_IMAGE.patch) * (latents.shape[3] // Z_IMAGE.patch)
        texts = [text[mask] for text, mask in zip(condition.tokens.to(self.dtype), condition.mask, strict=True)]
        pictures = list(latents.to(self.dtype).unsqueeze(2))  # films of one frame
        said = self.network(pictures, 1 - sigma(t, latents), texts, return_dict=False)[0]
        return -torch.stack(said).squeeze(2).float()  # it was trained to say clean - noise

    def picture(self, output: Any, latents: Tensor) -> Tensor:
        """See :class:`Transformer`."""
        return grid(output[:, : self._tokens], latents.shape[2] // Z_IMAGE.patch)

    def _picture_tokens(self) -> int:
        """How many of the picture stand before all others, in the prediction that is being made."""
        return self._tokens


@dataclass(frozen=True)
class _Attention:
    """Attention, as diffusers' own processor has it, of what an exchange says for the picture's tokens.

    What fills a picture and its text up to multiples of 32 tokens stays, as the text does; it counts as the text's
    where it is. A picture's place along the first axis is behind its text: all places are counted from the
    picture's, which changes no attention, so that pictures with longer and shorter texts hear one another as if
    they stood at one place.
    """

    name: str
    exchange: Exchange
    pictures: Callable[[], int]

    def __call__(
        self,
        layer: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Tensor | None = None,
    ) -> Tensor:
        assert freqs_cis is not None
        count, places = self.pictures(), freqs_cis * freqs_cis[:, :1].conj()  # row and column of the first are 0
        picture, rest = hidden_states[:, :count], hidden_states[:, count:]

        def heads(x: Tensor, norm: Any = None) -> Tensor:
            split = x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            return split if norm is None else norm(split)

        def own() -> Heard:
            keys = heads(layer.to_k(picture), layer.norm_k)
            return Heard(_turned(keys, places[:, :count]), heads(layer.to_v(picture)))

        heard = self.exchange(self.name, own)
        keys, values = _turned(heads(layer.to_k(rest), layer.norm_k), places[:, count:]), heads(layer.to_v(rest))
        counts = None if attention_mask is None else attention_mask[:, count:]
        query = _turned(heads(layer.to_q(hidden_states), layer.norm_q), places)
        project, dropout = layer.to_out
        joint = Joint(slice(count), rest.shape[1] - -count % Z_IMAGE_FILLED)
        answers: Tensor = dropout(project(heard.beside(keys, values, counts).answer(query, joint)))
        return answers


def _turned(x: Tensor, rotation: Tensor) -> Tensor:
    """Queries or keys (B,H,S,D), in pairs as complex numbers, times numbers (B,S,D/2)."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * rotation[:, None]).flatten(-2).to(x)
