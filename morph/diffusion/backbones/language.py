"""From prompts to what a denoiser is told, by a language model that reads them in a chat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.backbones import located
from morph.diffusion.backbones.located import Spoken
from morph.diffusion.backbones.reader import Reader
from morph.diffusion.condition import Condition
from morph.diffusion.parts import Words

TOKENS = 512
"""How many tokens of a chat it is shown."""
_ALL_OF_THEM = {"padding": "max_length", "max_length": TOKENS, "truncation": True}


class LanguageModel(Reader):
    """Some layers of a language model, side by side: tokens (B,512,L D) of L layers, each D wide.

    A prompt is put as a user says it, by the template of the tokenizer. Under a message of the ``system`` it is all
    of the chat; without one the model's answer, without thinking, would come next. As FLUX.2 is told: tokens that
    only fill a text up are told as the others are.

    Raises:
        ModelError: the tokenizer has no template, or a damaged one.
    """

    def __init__(self, network: Any, tokenizer: Any, layers: Sequence[int], system: str = "") -> None:
        super().__init__(network, tokenizer)
        self._layers, self._system = tuple(layers), system
        self.check_template(self._chat)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        read = self._tokenize(prompts, **_ALL_OF_THEM, return_tensors="pt")
        # without the words that it would say next, which is large
        output = self.network.base_model(
            input_ids=read.input_ids.to(self.network.device),
            attention_mask=read.attention_mask.to(self.network.device),
            output_hidden_states=True,
            use_cache=False,
        )
        layers: list[Tensor] = [output.hidden_states[number].float() for number in self._layers]
        return Condition(torch.cat(layers, -1))

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`."""
        spoken = Spoken.in_chat(self._chat, prompt, self.tokenizer.name_or_path)
        marked = self._marked([spoken.text])
        return [located.words(self.tokenizer, spoken, add_special_tokens=marked, **_ALL_OF_THEM)]

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [prompt for prompt in prompts if len(self._tokenize([prompt]).input_ids[0]) > TOKENS]

    def _tokenize(self, prompts: Sequence[str], **options: Any) -> Any:
        chats = [self._chat(prompt) for prompt in prompts]
        return self.tokenizer(chats, add_special_tokens=self._marked(chats), **options)

    def _marked(self, chats: Sequence[str]) -> bool:
        """Whether the token of the start is still to be put ahead: some templates write it themselves."""
        start = self.tokenizer.bos_token
        return start is None or not all(chat.startswith(start) for chat in chats)

    def _chat(self, prompt: str) -> str:
        """A prompt as the model reads it."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        if self._system:
            said = (("system", self._system), ("user", prompt))
            messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]
        chat: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=not self._system, enable_thinking=False
        )
        return chat
