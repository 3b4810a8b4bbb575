"""The direction along which a score of pictures grows as much as one goes.

Goetschalckx, Andonian, Oliva & Isola, "GANalyze: Toward Visual Definitions of Cognitive Image Properties", 2019,
eq. 1: theta that makes the mean of (A(G(z + alpha theta)) - (A(G(z)) + alpha))^2 least. Published: alpha from
-0.5 to 0.5 of a score from 0 to 1, Adam, learning rate 2e-4, 400,000 samples.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

import torch

from morph.directions.descent import Fit, amounts_of
from morph.directions.directions import Straight, of_its_length
from morph.directions.generator import Generator, Points, Scorer, pictures_of


def ganalyze(
    generator: Generator, points: Points, share: Scorer, fit: Fit, reach: float = 0.5
) -> Steps[float, None, Straight]:
    """One direction for a score in [0,1], from points that are drawn over and over; yields losses.

    reach: the largest change of the score that is asked for. An amount of 1 is the way for ``reach``.
    """
    scale = points.codes.std(0).norm().clamp_min(1e-6)
    way = torch.zeros(1, points.codes.shape[1], device=points.codes.device, requires_grad=True)
    optimizer = torch.optim.Adam([way], lr=fit.rate)
    plain = pictures_of(generator, points)
    with torch.no_grad():
        scores = torch.cat([share(part) for part in plain.split(8)])
    for step in range(fit.steps):
        rows = fit.rows(len(points), step, "ganalyze")
        amounts = amounts_of(fit, len(rows), step, "ganalyze").to(scores)
        with torch.enable_grad():
            made = generator.picture(points[rows], amounts[:, None].to(way) * way * scale)
            loss = (share(made) - scores[rows] - reach * amounts).square().mean()
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield float(loss.detach())
    return of_its_length(way * scale)
