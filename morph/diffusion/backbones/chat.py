"""From prompts to what a denoiser is told: by a language model that is asked them in a chat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.backbones.reader import Reader, filled
from morph.diffusion.condition import Condition


class Chat(Reader):
    """A language model's layer before the last, of the first ``length`` tokens of a chat that opens with a prompt.

    As Z-Image is told (Z-Image Team, "Z-Image: An Efficient Image Generation Foundation Model with Single-Stream
    Diffusion Transformer", 2025). Texts are as long as they are: zeros, that do not count, fill them up to
    ``length``.

    Raises:
        ModelError: the tokenizer does not know how a chat is written.
    """

    def __init__(self, network: Any, tokenizer: Any, length: int) -> None:
        super().__init__(network, tokenizer)
        self._length = length
        self.check_template(self._tokens)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        return filled([self._embedded(prompt) for prompt in prompts], self._length)

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [prompt for prompt in prompts if len(self._tokens(prompt)) > self._length]

    def _tokens(self, prompt: str) -> list[int]:
        """The ids of a chat that is about to be answered."""
        messages = [{"role": "user", "content": prompt}]
        chat = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=True
        )
        return list(self.tokenizer(chat).input_ids)

    def _embedded(self, prompt: str) -> Tensor:
        """Tokens (L,D) float32; alone, since no token looks at what would fill its text up."""
        ids = torch.tensor([self._tokens(prompt)[: self._length]], device=self.network.device)
        layers = self.network(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        embedded: Tensor = layers[-2][0]
        return embedded.float()
