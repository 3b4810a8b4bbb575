"""From prompts to what Qwen-Image is told: by a language model that is asked to describe a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from morph.diffusion.backbones import located
from morph.diffusion.backbones.located import Spoken
from morph.diffusion.backbones.reader import Reader, filled
from morph.diffusion.condition import Condition
from morph.diffusion.parts import Words

TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What a prompt is put into (Wu et al., "Qwen-Image Technical Report", 2025)."""
ASKED = 34
"""The tokens of the template before the prompt; the denoiser is not told these."""
LONGEST = 512
"""How many of those after them it is told at most, as in diffusers' pipeline."""


class Qwen(Reader):
    """Qwen2.5-VL: the tokens (B,L,D) of its last layer of a prompt in the template, and a mask of those that count.

    All are filled up with zeros to one length, so that texts can be mixed.
    """

    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        return filled([self._embedded(prompt) for prompt in prompts], LONGEST)

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`."""
        spoken = Spoken.in_chat(TEMPLATE.format, prompt, "Qwen-Image")
        of_all = located.words(self.tokenizer, spoken, truncation=True, max_length=ASKED + LONGEST)
        return [of_all._replace(tokens=of_all.tokens[ASKED:])]

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [
            prompt for prompt in prompts if len(self.tokenizer(TEMPLATE.format(prompt)).input_ids) > ASKED + LONGEST
        ]

    @torch.no_grad()
    def _embedded(self, prompt: str) -> Tensor:
        """A prompt's tokens (L,D) float32; by itself, so that others change nothing."""
        tokens = self.tokenizer(
            TEMPLATE.format(prompt), truncation=True, max_length=ASKED + LONGEST, return_tensors="pt"
        ).to(self.network.device)
        # the network below the one that predicts words
        said = self.network.model(tokens.input_ids, attention_mask=tokens.attention_mask, use_cache=False)
        embedded: Tensor = said.last_hidden_state[0, ASKED:]
        return embedded.float()
