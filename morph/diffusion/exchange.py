"""What one attention of a denoiser hears, open to exchange: whose keys and values its queries are answered from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.interpolation import lerp

AT_ONCE = 2**25
"""How many probabilities of an attention are held at once, 128 MiB of them, and a few times as many on the way."""


@dataclass(frozen=True)
class Site:
    """An attention of a denoiser.

    name: its submodule. kind: whether a picture attends to itself, to its text, or to both at once. depth: how far
    from the first layer to the last, in [0,1); the way up of a U-Net starts at 0.5. shared: whether it is one of
    those by which frames of its family take after their ends best.
    """

    name: str
    kind: Literal["self", "cross", "joint"]
    depth: float
    shared: bool


class Joint(NamedTuple):
    """Of an attention to a picture and its text at once: which queries are the picture's, which keys the text's.

    picture: the places of the picture's queries among all. texts: how many keys, the last, are the text's tokens.
    """

    picture: slice
    texts: int


class Answer(Protocol):
    """What answers the queries of an attention."""

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Answer:
        """The same with other keys and values (B,H,S,D) beside what it knows; ``mask`` (B,S): those that count."""

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """What queries (B,H,T,D) are answered: (B,T,H D), in their dtype.

        ``joint`` tells a picture from its text, where the attention is to both at once.
        """


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

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """What queries (B,H,T,D) are answered: (B,T,H D), in their dtype."""
        bias = None if self.bias is None else self.bias.to(query)
        mixed = F.scaled_dot_product_attention(query, self.keys.to(query), self.values.to(query), attn_mask=bias)
        return mixed.transpose(1, 2).flatten(2)

    def probabilities(self, query: Tensor) -> Tensor:
        """How much of each value goes into the answer to each query (B,H,T,D): (B,H,T,S) float32."""
        scores = query.float() @ self.keys.float().mT * query.shape[-1] ** -0.5
        return (scores if self.bias is None else scores + self.bias.float()).softmax(-1)

    def weighed(self, probabilities: Tensor) -> Tensor:
        """What is answered where so much (B,H,T,S) of each value goes into it: (B,T,H D), in the values' dtype."""
        return (probabilities.to(self.values) @ self.values).transpose(1, 2).flatten(2)

    def rows(self, rows: slice) -> Heard:
        """Those of some samples."""
        return Heard(self.keys[rows], self.values[rows], None if self.bias is None else self.bias[rows])

    def expand(self, count: int) -> Heard:
        """The one sample's for ``count`` samples, without a copy; ``count`` samples stay as they are."""
        keys, values = (part.expand(count, -1, -1, -1) for part in self[:2])
        return Heard(keys, values, None if self.bias is None else self.bias.expand(count, -1, -1, -1))


class Mixed(NamedTuple):
    """Two answers, and how much of the second (B,) goes into the mix."""

    first: Answer
    second: Answer
    weight: Tensor

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Mixed:
        """Both, each beside others."""
        first, second = (each.beside(keys, values, mask) for each in (self.first, self.second))
        return Mixed(first, second, self.weight)

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """See :class:`Answer`."""
        return lerp(self.first.answer(query, joint), self.second.answer(query, joint), self.weight)


class Averaged(NamedTuple):
    """The mean answer of a batch, for each of its samples."""

    own: Answer

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Averaged:
        """See :class:`Answer`."""
        return Averaged(self.own.beside(keys, values, mask))

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """See :class:`Answer`."""
        answers = self.own.answer(query, joint)
        return answers.mean(0, keepdim=True).expand_as(answers)


class Apart(NamedTuple):
    """An answer for the samples ahead in a batch, and another for the rest."""

    ahead: int
    head: Answer
    rest: Answer

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Apart:
        """See :class:`Answer`."""
        head, rest = (
            answer.beside(keys[rows], values[rows], None if mask is None else mask[rows])
            for answer, rows in ((self.head, slice(self.ahead)), (self.rest, slice(self.ahead, None)))
        )
        return Apart(self.ahead, head, rest)

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """See :class:`Answer`."""
        head, rest = query.tensor_split([self.ahead])
        return torch.cat([self.head.answer(head, joint), self.rest.answer(rest, joint)])


class Weighed(NamedTuple):
    """The answers of a batch where ``weigh`` says how much of each value goes into them.

    It is given the batch's own :meth:`Heard.probabilities`, (B,H,T,S) float32, of some of the queries at a time, so
    that few are held at once however large a picture is, and returns as many. Of attention to a picture and its
    text at once, these queries are the picture's, and what the text's own hear stays. ``watch`` is told what it
    returned of the text's keys: the mean over heads (B,T,S), of all queries together.
    """

    own: Heard
    weigh: Callable[[Tensor, Joint | None], Tensor]
    watch: Callable[[Tensor], None] | None = None

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Weighed:
        """See :class:`Answer`."""
        return self._replace(own=self.own.beside(keys, values, mask))

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """See :class:`Answer`."""
        start, stop, _ = (joint.picture if joint else slice(None)).indices(query.shape[2])
        answers = [self._weighed(query[:, :, start:stop], joint)]
        if start:
            answers.insert(0, self.own.answer(query[:, :, :start]))
        if stop < query.shape[2]:
            answers.append(self.own.answer(query[:, :, stop:]))
        return torch.cat(answers, 1)

    def _weighed(self, query: Tensor, joint: Joint | None) -> Tensor:
        at_once = max(1, AT_ONCE // (query.shape[0] * query.shape[1] * self.own.keys.shape[2]))
        answers, watched = [], []
        for part in query.split(at_once, 2):
            probabilities = self.weigh(self.own.probabilities(part), joint)
            answers.append(self.own.weighed(probabilities))
            if self.watch:
                watched.append(probabilities[..., -joint.texts if joint else 0 :].mean(1))
        if self.watch:
            self.watch(torch.cat(watched, 1))
        return torch.cat(answers, 1).to(query)


class Led(NamedTuple):
    """The answers of a batch that looks where its first sample looks: that one's queries and keys, own values."""

    own: Heard

    def beside(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Led:
        """See :class:`Answer`."""
        return Led(self.own.beside(keys, values, mask))

    def answer(self, query: Tensor, joint: Joint | None = None) -> Tensor:
        """See :class:`Answer`."""
        first = self.own.rows(slice(1)).expand(len(query))
        return first._replace(values=self.own.values).answer(query[:1].expand_as(query))


Exchange = Callable[[str, Callable[[], Heard]], Answer]
"""The name of an attention, and how to have its own keys and values, to what answers its queries instead.

Those are its own: of the prediction that is being made. They are computed only when they are asked for.
"""
