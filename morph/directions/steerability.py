"""The direction along which pictures change as a plain change of them wants.

Jahanian, Chai & Isola, "On the 'Steerability' of Generative Adversarial Networks", 2020, eq. 1: w that makes the
mean of |G(z + alpha w) - edit(G(z), alpha)|^2 least. Published: Adam, learning rate 1e-4, 20,000 samples.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

import torch
from torch import Tensor

from morph.directions.changes import Change
from morph.directions.descent import Fit, amounts_of
from morph.directions.directions import Straight, of_its_length
from morph.directions.generator import Generator, Points, pictures_of


def steer(generator: Generator, points: Points, change: Change, fit: Fit) -> Steps[float, None, Straight]:
    """One direction for a change, from points that are drawn over and over; an amount of 1 is one of the change.

    Yields losses.
    """
    width = points.codes.shape[1]
    scale = points.codes.std(0).norm().clamp_min(1e-6)
    way = torch.zeros(
        1, width, device=points.codes.device, requires_grad=True
    )  # in units of how far codes lie apart
    optimizer = torch.optim.Adam([way], lr=fit.rate)
    plain = pictures_of(generator, points)
    for step in range(fit.steps):
        rows = fit.rows(len(points), step, "steer")
        amounts = amounts_of(fit, len(rows), step, "steer").to(plain)
        wanted, counted = change(plain[rows], amounts)
        with torch.enable_grad():
            made = generator.picture(points[rows], amounts[:, None] * way * scale)
            loss = masked_error(made, wanted, counted)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield float(loss.detach())
    return of_its_length(way * scale)


def masked_error(made: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """Mean squared error of pictures (N,3,H,W), where a mask (N,1,H,W) counts them."""
    return ((made - wanted).square() * counted).sum() / (counted.sum() * made.shape[1]).clamp_min(1)
