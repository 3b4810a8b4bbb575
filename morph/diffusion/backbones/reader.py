"""What language models that read prompts have in common, whatever is told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.diffusion.condition import Condition
from morph.diffusion.parts import Clip
from morph.errors import ModelError


class Reader:
    """A language model, frozen, and its tokenizer."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network.eval().requires_grad_(False), tokenizer

    @property
    def networks(self) -> Sequence[nn.Module]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [self.network]

    @property
    def clips(self) -> Sequence[Clip]:
        """See :class:`morph.diffusion.parts.Texts`; there are none."""
        return ()

    def check_template(self, chat: Callable[[str], object]) -> None:
        """Raise a ModelError if the tokenizer cannot write a prompt as ``chat`` has it."""
        try:
            chat("a")
        except Exception as error:  # whatever a missing or damaged template makes of the library that fills it in
            raise ModelError(
                f"the tokenizer in {self.tokenizer.name_or_path} has no chat template, or a damaged one; "
                "copy the model again"
            ) from error


def filled(texts: Sequence[Tensor], length: int) -> Condition:
    """Texts (L,D) of any lengths as one condition (B,length,D): zeros fill them up, and its mask tells these."""
    tokens = torch.stack([F.pad(text, (0, 0, 0, length - len(text))) for text in texts])
    lengths = torch.tensor([[len(text)] for text in texts], device=tokens.device)
    return Condition(tokens, torch.arange(length, device=tokens.device) < lengths)
