"""The direction along which a score of pictures grows as much as one goes.

Goetschalckx, Andonian, Oliva & Isola, "GANalyze: Toward Visual Definitions of Cognitive Image Properties", 2019,
eq. 1: theta that makes the mean of (A(G(z + alpha theta)) - (A(G(z)) + alpha))^2 least. Published: alpha from
-0.5 to 0.5 of a score from 0 to 1, Adam, learning rate 2e-4, 400,000 samples.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

from torch import Tensor

from morph.directions.descent import Fit, descended
from morph.directions.directions import Straight
from morph.directions.generator import Generator, Points, Scorer, pictures_of, scores_of


def ganalyze(
    generator: Generator, points: Points, share: Scorer, fit: Fit, reach: float = 0.5
) -> Steps[float, None, Straight]:
    """One direction for a score in [0,1], from points that are drawn over and over; yields losses.

    reach: the largest change of the score that is asked for. An amount of 1 is the way for ``reach``.
    """
    scores = scores_of(share, pictures_of(generator, points))

    def loss(rows: Tensor, amounts: Tensor, shifts: Tensor) -> Tensor:
        made = generator.picture(points[rows], shifts)
        return (share(made) - scores[rows] - reach * amounts.to(scores)).square().mean()

    return (yield from descended(points, fit, "ganalyze", loss))
