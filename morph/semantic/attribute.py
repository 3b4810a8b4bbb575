"""What codes pictures of an attribute have: not one, but a distribution, from a text or from another picture."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random

HIDDEN = 128
"""Numbers of the hidden layer."""
NARROW = 0.05
"""The least standard deviation of a code's number, where 1 is that of all photographs."""


class Spread(NamedTuple):
    """Normal distributions of codes: mean and deviation, (N,D) each."""

    mean: Tensor
    deviation: Tensor


class Attribute(nn.Module):
    """From CLIP's vector of a text, or of a reference picture, to a distribution, as many pictures suit it.

    After the probabilistic aging embedding of Li et al., "Pluralistic Aging Diffusion Autoencoder" (PADA), 2023,
    for any attribute. It is of the codes themselves, which joins the paper's embedding and its map to z_sem. Texts
    and pictures lie apart in CLIP; each are seen from their own mean, ``text`` and ``picture`` (E,).
    """

    text: Tensor
    picture: Tensor

    def __init__(self, clip: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(clip, HIDDEN)
        self.second = nn.Linear(HIDDEN, 2 * width)
        self.register_buffer("text", torch.zeros(clip))
        self.register_buffer("picture", torch.zeros(clip))

    def of_texts(self, vectors: Tensor) -> Spread:
        """The codes of pictures that texts (N,E) are true of."""
        return self._spread(vectors - self.text)

    def of_pictures(self, vectors: Tensor) -> Spread:
        """The codes of pictures that show what these (N,E) do."""
        return self._spread(vectors - self.picture)

    def _spread(self, vectors: Tensor) -> Spread:
        scaled = vectors * math.sqrt(vectors.shape[1])  # each number about 1
        mean, width = self.second(F.silu(self.first(scaled))).chunk(2, dim=1)
        return Spread(mean, F.softplus(width) + NARROW)

    def fit(
        self,
        codes: Tensor,
        pictures: Tensor,
        texts: Tensor,
        kinds: Sequence[int],
        steps: int,
        batch: int,
        rate: float,
        seed: int,
    ) -> Generator[float, None, None]:
        """Train on N pictures: codes (N,D), CLIP's vectors (N,E), texts (K,E), and which text is each one's.

        Half of the time a code is to be likely under its text, and half under another picture of the same text.
        The expected negative log likelihood is, but for a constant, the divergence from the codes that pictures of
        the text have: the paper's divergence is guided by texts too. Yields the loss of every step.
        """
        kind = torch.tensor(kinds)
        self.text.copy_(texts[kind].mean(0))
        self.picture.copy_(pictures.mean(0))
        rows_of = [(kind == number).nonzero()[:, 0] for number in range(len(texts))]
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.1)
        for step in range(steps):
            generator = random.generator(seed, "attribute", step)
            rows = torch.randint(len(codes), (batch,), generator=generator)
            picks = torch.rand(batch, generator=generator).tolist()
            groups = [rows_of[kinds[row]] for row in rows.tolist()]
            alike = torch.stack([same[int(pick * len(same))] for pick, same in zip(picks, groups, strict=True)])
            with torch.enable_grad():
                half = batch // 2
                spreads = self.of_texts(texts[kind[rows[:half]]]), self.of_pictures(pictures[alike[half:]])
                mean, deviation = (torch.cat(parts) for parts in zip(*spreads, strict=True))
                loss = (((codes[rows] - mean) / deviation).square() / 2 + deviation.log()).mean()
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
            yield float(loss.detach())


def fused(codes: Tensor, source: Spread, target: Spread, fresh: float, noise: Tensor) -> Tensor:
    """Codes (B,D) given another attribute, by normalisation: what they are within theirs, they are within that.

    As adaptive instance normalisation does with features: (z - mean) / deviation of the ``source`` is put under
    mean and deviation of the ``target``. ``fresh`` turns that by a share of a right angle to ``noise`` (B,D), which
    is normal, and each of which is another answer; with 1 nothing of the picture is left but the attribute.
    """
    within = (codes - source.mean) / source.deviation
    angle = fresh * math.pi / 2
    turned = math.cos(angle) * within + math.sin(angle) * noise
    return target.mean + target.deviation * turned
