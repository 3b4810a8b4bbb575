"""Which tokens of one prompt are which of another, as prompt-to-prompt needs it.

Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.diffusion.parts import Words
from morph.errors import SettingsError


@dataclass(frozen=True)
class Alignment:
    """From the tokens of a prompt, K of them, to those of another, L.

    shares (K,L) float32: how much of the map of a token of the first, a row, goes into that of a token of the
    other, a column; no row's sum is more than 1. known (L,) bool: the tokens of the other that have any such.
    """

    shares: Tensor
    known: Tensor

    @classmethod
    def cat(cls, alignments: Sequence[Alignment]) -> Alignment:
        """Of several text encoders whose tokens stand one behind the other; none is another's."""
        shares = torch.block_diag(*(alignment.shares for alignment in alignments))
        return cls(shares, torch.cat([alignment.known for alignment in alignments]))

    @classmethod
    def same(cls, count: int, device: torch.device) -> Alignment:
        """Of a prompt of so many tokens with itself."""
        return cls(torch.eye(count, device=device), torch.ones(count, dtype=torch.bool, device=device))

    def to(self, device: torch.device) -> Alignment:
        """The same on a device."""
        return Alignment(self.shares.to(device), self.known.to(device))

    def filled(self, count: int) -> Alignment:
        """The same from ``count`` tokens to as many, those that both prompts lack behind them among these."""
        first, second = self.shares.shape
        shares = F.pad(self.shares, (0, count - second, 0, count - first))
        return Alignment(shares, filled(self.known, count))

    def carried(self, maps: Tensor, own: Tensor) -> Tensor:
        """The other's maps (...,L): carried over from the first's, or its own where it has words of its own."""
        return torch.where(self.known.to(maps.device), maps @ self.shares.to(maps), own)


def filled(tokens: Tensor, count: int, value: float = 0) -> Tensor:
    """What is known of a prompt's tokens (L,), of ``count`` tokens: ``value``, or false, of those behind them."""
    return F.pad(tokens, (0, count - len(tokens)), value=value)


def aligned(source: Words, target: Words, swap: bool = True) -> Alignment:
    """The tokens of the words that two prompts share; with ``swap``, also of those that replace one another.

    A word replaces another where as many stand in the place of as many. Its tokens share out the maps of the
    other's tokens. Words that were added or left out are of neither. Marks, a chat's own words and what only fills
    up go with one another, as near to the prompt in the one as in the other, before it and behind it.
    """
    shares = torch.zeros(len(source.tokens), len(target.tokens))
    matcher = SequenceMatcher(None, source.words, target.words, autojunk=False)
    for kind, start, end, other, other_end in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and swap and end - start == other_end - other):
            for first, second in zip(range(start, end), range(other, other_end), strict=True):
                _pair(shares, _tokens(source, first), _tokens(target, second))
    worded = bool(_told(source) and _told(target))
    for firsts, seconds in zip(_ends(source, worded), _ends(target, worded), strict=True):
        for number, first in enumerate(firsts):
            # a shorter prompt is filled up by more tokens, which share out the last one's
            takers = seconds[number:] if number == len(firsts) - 1 else seconds[number : number + 1]
            shares[first, takers] = 1 / max(1, len(takers))
    return Alignment(shares, shares.any(0))


def factors(prompt: Words, weights: Mapping[str, float]) -> Tensor:
    """What the maps of each token of a prompt are multiplied by, (L,) float32, for weights of its words.

    Raises:
        SettingsError: a word that is not in the prompt.
    """
    found = torch.ones(len(prompt.tokens))
    for word, weight in weights.items():
        found[places(prompt, [word])] = weight
    return found


def places(prompt: Words, words: Sequence[str]) -> Tensor:
    """Which tokens (L,) bool of a prompt are of some words.

    Raises:
        SettingsError: a word that is not in the prompt.
    """
    for word in words:
        if word.lower() not in prompt.words:
            raise SettingsError(f"the word {word!r} is not in the prompt {' '.join(prompt.words)!r}")
    wanted = {word.lower() for word in words}
    return torch.tensor([number is not None and prompt.words[number] in wanted for number in prompt.tokens])


def _pair(shares: Tensor, first: list[int], second: list[int]) -> None:
    if len(first) == len(second):
        shares[first, second] = 1
    elif first and second:  # a long prompt's last words are not read
        shares[torch.tensor(first)[:, None], torch.tensor(second)] = 1 / len(second)


def _tokens(prompt: Words, word: int) -> list[int]:
    return [place for place, number in enumerate(prompt.tokens) if number == word]


def _told(prompt: Words) -> list[int]:
    """The places of a prompt's own words."""
    return [place for place, number in enumerate(prompt.tokens) if number is not None]


def _ends(prompt: Words, worded: bool) -> tuple[list[int], list[int]]:
    """The places before a prompt's words, from the nearest on, and those behind them; all of one without words."""
    told, count = _told(prompt), len(prompt.tokens)
    if worded:
        return list(range(min(told) - 1, -1, -1)), list(range(max(told) + 1, count))
    return [], [place for place in range(count) if place not in told]
