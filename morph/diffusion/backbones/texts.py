"""From prompts to what a denoiser is told: CLIP's text towers, one as Stable Diffusion has it or two as SDXL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.condition import Condition


class Clip:
    """One text tower: its last layer's tokens (B,L,D) alone, which is all that Stable Diffusion 1 and 2 take."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network.eval().requires_grad_(False), tokenizer

    @property
    def networks(self) -> Sequence[nn.Module]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self.network]

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        return Condition(self.network(self.tokenize(prompts)).last_hidden_state.float())

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [
            prompt for prompt in prompts if len(self.tokenizer(prompt).input_ids) > self.tokenizer.model_max_length
        ]

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to token ids (B,L), padded and cut to the tokenizer's length."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return tokens.input_ids.to(self.network.device)


class TwoClips:
    """Two text towers: their last layers but one side by side, and the second one's vector for the whole text.

    Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis", 2023, section 2.1.
    """

    def __init__(self, first: Clip, second: Clip) -> None:
        self._towers = first, second

    @property
    def networks(self) -> Sequence[nn.Module]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [tower.network for tower in self._towers]

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        outputs = [tower.network(tower.tokenize(prompts), output_hidden_states=True) for tower in self._towers]
        tokens = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        return Condition(tokens.float(), pooled=outputs[1].text_embeds.float())

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return self._towers[0].overlong(prompts)
