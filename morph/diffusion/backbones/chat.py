"""From prompts to what a denoiser is told: by a language model that is asked them in a chat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.backbones import located
from morph.diffusion.backbones.located import Spoken
from morph.diffusion.backbones.reader import Reader, filled
from morph.diffusion.condition import Condition
from morph.diffusion.parts import Words


class Chat(Reader):
    """A language model's layer before the last, of the first ``length`` tokens of a chat that opens with a prompt.

    As Z-Image is told (Z-Image Team, "Z-Image: An Efficient Image Generation Foundation Model with Single-Stream
    Diffusion Transformer", 2025). Texts are as long as they are: zeros, that do not count, fill them up to
    ``length``. A denoiser may itself fill them up to ``multiples`` of so many tokens.

    Raises:
        ModelError: the tokenizer does not know how a chat is written.
    """

    def __init__(self, network: Any, tokenizer: Any, length: int, multiples: int = 1) -> None:
        super().__init__(network, tokenizer)
        self._length, self._multiples = length, multiples
        self.check_template(self._tokens)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        return filled([self._embedded(prompt) for prompt in prompts], self._length)

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`; what its denoiser fills a text up by is of no word."""
        spoken = Spoken.in_chat(self._chat, prompt, self.tokenizer.name_or_path)
        of_all = located.words(self.tokenizer, spoken)
        tokens = of_all.tokens[: self._length]
        return [of_all._replace(tokens=tokens + (None,) * (-len(tokens) % self._multiples))]

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [prompt for prompt in prompts if len(self._tokens(prompt)) > self._length]

    def _tokens(self, prompt: str) -> list[int]:
        """The ids of a chat that is about to be answered."""
        return list(self.tokenizer(self._chat(prompt)).input_ids)

    def _chat(self, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        chat: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=True
        )
        return chat

    def _embedded(self, prompt: str) -> Tensor:
        """Tokens (L,D) float32; alone, since no token looks at what would fill its text up."""
        ids = torch.tensor([self._tokens(prompt)[: self._length]], device=self.network.device)
        layers = self.network(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        embedded: Tensor = layers[-2][0]
        return embedded.float()
