"""Directions that a network can tell apart by what they do to pictures, whatever that is.

Voynov & Babenko, "Unsupervised Discovery of Interpretable Directions in the GAN Latent Space", 2020, eq. 2:
directions and a reconstructor are learnt together. It sees a picture and the same moved along one of the
directions, says which it was and how far, and the loss is the cross entropy of the one and ``weight`` times the
mean absolute error of the other. Published: 0.25, Adam at 1e-4, 10^5 steps, shifts from 0.5 to 6 where codes are
normal and some 11 long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Generator as Steps

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random
from morph.directions.descent import Fit
from morph.directions.generator import Generator, Points, pictures_of

Mover = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Codes (N,D), numbers of directions (N,) and distances (N,) to shifts (N,D)."""
SEEN = 32
"""Pixels of the side of pictures that the reconstructor sees."""
LATEST = 30
"""Steps at the end of a fit over which the accuracy is counted: each is of pictures before it learns from them."""


class Reconstructor(nn.Module):
    """Two pictures (N,3,H,W) to logits (N,K) of which direction it was, and how far (N,): a small LeNet."""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(random.generator(seed, "reconstructor").initial_seed())
            self.body = nn.Sequential(
                nn.Conv2d(6, 32, 3, 2, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(32, 64, 3, 2, 1),
                nn.GroupNorm(8, 64),
                nn.LeakyReLU(0.2),
                nn.Conv2d(64, 64, 3, 2, 1),
                nn.GroupNorm(8, 64),
                nn.LeakyReLU(0.2),
                nn.Flatten(),
                nn.Linear(64 * (SEEN // 8) ** 2, 128),
                nn.LeakyReLU(0.2),
            )
            self.head = nn.Linear(128, count + 1)

    def forward(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        # of a picture and a change of it the change is the news: both are shown alike bright
        seen = torch.cat([before, (after - before) * 4], 1)
        seen = F.interpolate(seen, (SEEN, SEEN), mode="bilinear", antialias=True)
        answers = self.head(self.body(seen))
        return answers[:, :-1], answers[:, -1]


def told_apart(
    generator: Generator,
    points: Points,
    mover: Mover,
    learnt: Sequence[Tensor],
    reconstructor: Reconstructor,
    count: int,
    reach: tuple[float, float],
    fit: Fit,
    weight: float = 0.25,
    after_step: Callable[[], None] | None = None,
) -> Steps[float, None, float]:
    """Learn what ``mover`` makes of K = ``count`` directions, by ``learnt``; yields losses, returns the accuracy.

    That is of the last steps: each is of moves that the reconstructor has not seen. reach: the least and the
    largest distance, either way. ``learnt`` may be empty: then only the reconstructor learns.
    """
    parameters = [*learnt, *reconstructor.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=fit.rate)
    plain = pictures_of(generator, points)
    right: list[float] = []
    for step in range(fit.steps):
        rows = fit.rows(len(points), step, "apart")
        numbers = fit.choices(len(rows), count, step, "apart numbers")
        sizes = fit.uniform(len(rows), *reach, step, "apart sizes")
        ways = torch.where(fit.choices(len(rows), 2 * len(rows), step, "apart ways") % 2 == 0, 1.0, -1.0)
        distances = (sizes * ways).to(plain)
        with torch.enable_grad():
            moved = generator.picture(points[rows], mover(points.codes[rows], numbers, distances))
            logits, told = reconstructor(plain[rows], moved)
            numbers = numbers.to(logits.device)
            loss = F.cross_entropy(logits, numbers) + weight * (told - distances / reach[1]).abs().mean()
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if after_step:
            after_step()
        right.append(float((logits.argmax(1) == numbers).float().mean()))
        yield float(loss.detach())
    latest = right[-LATEST:]
    return sum(latest) / max(1, len(latest))


@torch.no_grad()
def accuracy(
    generator: Generator,
    points: Points,
    mover: Mover,
    reconstructor: Reconstructor,
    count: int,
    distance: float,
    names: Sequence[int] | None = None,
) -> float:
    """How often a reconstructor names the direction that points were moved along, each of them along all.

    names: the numbers that directions are told by, where they are others than in the fit.
    """
    plain, right = pictures_of(generator, points), 0
    for number in range(count):
        numbers = torch.full((len(points),), number)
        shifts = mover(points.codes, numbers, torch.full((len(points),), distance).to(points.codes))
        logits, _ = reconstructor(plain, pictures_of(generator, points, shifts))
        right += int((logits.argmax(1) == (names[number] if names else number)).sum())
    return right / (count * len(points))
