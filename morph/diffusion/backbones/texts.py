"""From prompts to what a denoiser is told: by CLIP's text towers, one or two, and by T5."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.diffusion.backbones import located
from morph.diffusion.backbones.located import Spoken
from morph.diffusion.condition import Condition
from morph.diffusion.parts import Words

T5_TOKENS = 256
"""How many tokens T5 is shown where nothing else is said."""


class Clip:
    """One text tower: its last layer's tokens (B,L,D) alone, which is all that Stable Diffusion 1 and 2 take."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network.eval().requires_grad_(False), tokenizer
        self._words: dict[str, str] = {}

    @property
    def networks(self) -> Sequence[nn.Module]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self.network]

    @property
    def clips(self) -> Sequence[Clip]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self]

    def check(self, word: str, vectors: Tensor) -> None:
        """See :class:`morph.diffusion.parts.Clip`."""
        width, most = self.network.get_input_embeddings().weight.shape[1], self.tokenizer.model_max_length - 2
        if vectors.shape[1] != width:
            raise ValueError(f"its vectors are of {vectors.shape[1]} numbers, and the model's of {width}")
        if len(vectors) > most:
            raise ValueError(f"it has {len(vectors)} vectors, and the model reads no more than {most}")
        if there := next((name for name in _names(word, vectors) if name in self.tokenizer.get_vocab()), None):
            raise ValueError(f"there is a token {there} in it already: give it another name, FILE=NAME")

    def learn(self, word: str, vectors: Tensor) -> None:
        """See :class:`morph.diffusion.parts.Clip`. Several vectors are several tokens: word, word_1 and so on."""
        from transformers import AddedToken

        names = _names(word, vectors)
        self.tokenizer.add_tokens([AddedToken(name, single_word=True) for name in names])
        self.network.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        embedding = self.network.get_input_embeddings().requires_grad_(False)
        embedding.weight.data[self.tokenizer.convert_tokens_to_ids(names)] = vectors.to(embedding.weight)
        for module in self.network.modules():
            if getattr(module, "eos_token_id", None) == 2:  # takes the token of the highest number for a text's end
                module.eos_token_id = self.tokenizer.eos_token_id
        self._words[word.lower()] = " ".join(names)

    def _spelt(self, prompt: str) -> str:
        """A prompt with all tokens of each learnt word in place of its first."""
        words = "|".join(map(re.escape, sorted(self._words, key=len, reverse=True)))
        pattern = rf"(?<!\w)(?:{words})(?!\w)"
        return (
            re.sub(pattern, lambda m: self._words.get(m[0].lower(), m[0]), prompt, flags=re.I) if words else prompt
        )

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        return Condition(self.network(self.tokenize(prompts)).last_hidden_state.float())

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [
            prompt
            for prompt in prompts
            if len(self.tokenizer(self._spelt(prompt)).input_ids) > self.tokenizer.model_max_length
        ]

    def words(self, prompt: str) -> Words:
        """See :class:`morph.diffusion.parts.Clip`; a learnt word of several tokens is as many words."""
        options = {"padding": "max_length", "max_length": self.tokenizer.model_max_length, "truncation": True}
        return located.words(self.tokenizer, Spoken.of(self._spelt(prompt)), **options)

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self.words(prompt)]

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to token ids (B,L), padded and cut to the tokenizer's length."""
        tokens = self.tokenizer(
            [self._spelt(prompt) for prompt in prompts],
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return tokens.input_ids.to(self.network.device)


def _names(word: str, vectors: Tensor) -> list[str]:
    """The tokens of a word with vectors (N,D)."""
    return [word, *(f"{word}_{number}" for number in range(1, len(vectors)))]


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

    @property
    def clips(self) -> Sequence[Clip]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return self._towers

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        outputs = [tower.network(tower.tokenize(prompts), output_hidden_states=True) for tower in self._towers]
        tokens = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        return Condition(tokens.float(), pooled=outputs[1].text_embeds.float())

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`; a token of both is of the same word."""
        return self._towers[0].read(prompt)

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return self._towers[0].overlong(prompts)


class ThreeTowers:
    """Two of CLIP's towers side by side, T5 behind them, and the vectors of the first two for the whole text.

    Esser et al., 2024, appendix B.1. ``width`` is that of the denoiser's tokens; narrower ones are filled up with
    zeros. T5 may be left out, as its weights often are: its tokens are zeros then.
    """

    def __init__(self, first: Clip, second: Clip, third: T5 | None, width: int) -> None:
        self._clips, self._t5, self._width = (first, second), third, width

    @property
    def networks(self) -> Sequence[nn.Module]:
        """See :class:`morph.diffusion.parts.Texts`."""
        clips = [tower.network for tower in self._clips]
        return [*clips, self._t5.network] if self._t5 else clips

    @property
    def clips(self) -> Sequence[Clip]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return self._clips

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        outputs = [tower.network(tower.tokenize(prompts), output_hidden_states=True) for tower in self._clips]
        clip = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1).float()
        clip = F.pad(clip, (0, self._width - clip.shape[-1]))
        t5 = self._t5.embed(prompts) if self._t5 else torch.zeros(len(clip), T5_TOKENS, self._width)
        pooled = torch.cat([output.text_embeds for output in outputs], dim=-1)
        return Condition(torch.cat([clip, t5.to(clip)], dim=1), pooled=pooled.float())

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`; without T5 what stands in its place is of no word."""
        of_clip = self._clips[0].words(prompt)
        return [of_clip, self._t5.words(prompt) if self._t5 else of_clip._replace(tokens=(None,) * T5_TOKENS)]

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`; what T5 reads is read."""
        return self._t5.overlong(prompts) if self._t5 else self._clips[0].overlong(prompts)


class ClipAndT5:
    """T5's tokens, and of CLIP's text tower the vector for the whole text alone, as FLUX.1 is told."""

    def __init__(self, clip: Clip, t5: T5) -> None:
        self._clip, self._t5 = clip, t5

    @property
    def networks(self) -> Sequence[nn.Module]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self._clip.network, self._t5.network]

    @property
    def clips(self) -> Sequence[Clip]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self._clip]

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        pooled = self._clip.network(self._clip.tokenize(prompts)).pooler_output.float()
        return Condition(self._t5.embed(prompts).to(pooled), pooled=pooled)

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`; of CLIP no token is told."""
        return [self._t5.words(prompt)]

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`; what T5 reads is read."""
        return self._t5.overlong(prompts)


class T5:
    """T5's encoder: the tokens (B,L,D) of its last layer, of the first ``length`` tokens of a text."""

    def __init__(self, network: Any, tokenizer: Any, length: int = T5_TOKENS) -> None:
        self.network, self.tokenizer = network.eval().requires_grad_(False), tokenizer
        self._length = length

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to tokens (B,L,D) float32."""
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=self._length, truncation=True, return_tensors="pt"
        )
        embedded: Tensor = self.network(tokens.input_ids.to(self.network.device))[0]
        return embedded.float()

    def words(self, prompt: str) -> Words:
        """Which of the tokens that it reads are which words of a prompt."""
        options = {"padding": "max_length", "max_length": self._length, "truncation": True}
        return located.words(self.tokenizer, Spoken.of(prompt), **options)

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """Those prompts that hold more tokens than are read."""
        return [prompt for prompt in prompts if len(self.tokenizer(prompt).input_ids) > self._length]
