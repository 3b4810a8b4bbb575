"""Which of the tokens that a tokenizer makes of a text are which words of a prompt in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from morph.diffusion.parts import Words
from morph.errors import ModelError

_WORD = re.compile(r"[^\s,.;:!?]+|[,.;:!?]")
_ASKED = "prompt" * 3
"""A prompt by which is seen what a chat puts around prompts, and that stands in no chat."""


class Spoken(NamedTuple):
    """A text, and where in it, from ``start`` to ``end``, a prompt stands."""

    text: str
    start: int
    end: int

    @classmethod
    def of(cls, prompt: str) -> Spoken:
        """A prompt by itself."""
        return cls(prompt, 0, len(prompt))

    @classmethod
    def in_chat(cls, chat: Callable[[str], str], prompt: str, name: str) -> Spoken:
        """A prompt in what ``chat`` makes of it; ``name`` says whose that is.

        Raises:
            ModelError: it is not there as it is, between what stands around all prompts.
        """
        text, (before, asked, behind) = chat(prompt), chat(_ASKED).partition(_ASKED)
        start, end = len(before), len(text) - len(behind)
        if not (asked and start <= end and text.startswith(before) and text.endswith(behind)):
            raise ModelError(
                f"the chat template of {name} does not keep prompts as they are, and prompt-to-prompt asks where "
                "their words are: take FlowEdit"
            )
        return cls(text, start, end)


def words(tokenizer: Any, spoken: Spoken, **options: Any) -> Words:
    """The words of a prompt, and which tokens that ``tokenizer`` makes of a text, with ``options``, are of which.

    A token that begins with the space before a word is that word's.

    Raises:
        ModelError: the tokenizer does not tell of which letters its tokens are.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"the tokenizer in {tokenizer.name_or_path} does not tell which tokens are of which word, and "
            "prompt-to-prompt asks for it: take FlowEdit, or a folder with its tokenizer.json"
        )
    text, start, end = spoken
    found = list(_WORD.finditer(text, start, end))
    ends = [word.end() for word in found]

    def word_of(first: int, behind: int) -> int | None:
        if not found or first == behind or behind <= start or first >= end:
            return None
        return next((number for number, last in enumerate(ends) if first < last), len(found) - 1)

    read = tokenizer(text, return_offsets_mapping=True, **options)
    return Words(tuple(word[0].lower() for word in found), tuple(word_of(*place) for place in read.offset_mapping))
