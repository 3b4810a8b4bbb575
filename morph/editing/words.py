"""Which tokens of one prompt are which of another, as prompt-to-prompt needs it.

Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch
from torch import Tensor

from morph.diffusion.parts import Words
from morph.errors import SettingsError


@dataclass(frozen=True)
class Alignment:
    """From the tokens of a prompt, L of them, to those of another.

    shares (L,L) float32: how much of the map of a token of the first, a row, goes into that of a token of the
    other, a column. known (L,) bool: the tokens of the other that have any such.
    """

    shares: Tensor
    known: Tensor

    def carried(self, maps: Tensor, own: Tensor) -> Tensor:
        """The other's maps (...,L): carried over from the first's, or its own where it has words of its own."""
        return torch.where(self.known.to(maps.device), maps @ self.shares.to(maps), own)


def aligned(source: Words, target: Words, swap: bool = True) -> Alignment:
    """The tokens of the words that two prompts share; with ``swap``, also of those that replace one another.

    A word replaces another where as many stand in the place of as many. Its tokens share out the maps of the
    other's tokens. Words that were added or left out are of neither; marks and what comes after the end go with
    one another.
    """
    count = len(target.tokens)
    shares = torch.zeros(count, count)
    matcher = SequenceMatcher(None, source.words, target.words, autojunk=False)
    for kind, start, end, other, other_end in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and swap and end - start == other_end - other):
            for first, second in zip(range(start, end), range(other, other_end), strict=True):
                _pair(shares, _tokens(source, first), _tokens(target, second))
    before, after = _ends(source), _ends(target)
    for first, second in zip(before, after, strict=False):
        shares[first, second] = 1
    for second in after[len(before) :]:  # the shorter prompt has more behind its end
        shares[before[-1], second] = 1
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


def _ends(prompt: Words) -> list[int]:
    """The places of the mark of the start, of that of the end, and of all that comes after."""
    return [place for place, number in enumerate(prompt.tokens) if number is None]
