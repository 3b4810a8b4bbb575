"""What one attention of a denoiser hears, open to exchange: whose keys and values its queries are answered from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Heard(NamedTuple):
    """Keys and values (B,H,S,D) of H heads, after all that a network does to them, and what scores are raised by.

    ``bias`` is (B,1,1,S), or None: nothing is added.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor | None = None

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Heard:
        """These, and behind them others (B,H,S,D) that nothing is added to; those alone of a mask (B,S), bool."""
        bias = None if self.bias is None else F.pad(self.bias, (0, keys.shape[2]))
        if mask is not None:
            counts = F.pad(mask.float().log()[:, None, None], (self.keys.shape[2], 0))
            bias = counts if bias is None else bias + counts
        return Heard(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2), bias)

    def answer(self, query: Tensor) -> Tensor:
        """What queries (B,H,T,D) are answered: (B,T,H D), in their dtype."""
        bias = None if self.bias is None else self.bias.to(query)
        mixed = F.scaled_dot_product_attention(query, self.keys.to(query), self.values.to(query), attn_mask=bias)
        return mixed.transpose(1, 2).flatten(2)


Exchange = Callable[[str, Callable[[], Heard]], Heard]
"""The name of an attention, and how to have its own keys and values, to what it hears instead.

Those are its own: of the prediction that is being made. They are computed only when they are asked for.
"""
