"""The direction along which pictures change as a plain change of them wants.

Jahanian, Chai & Isola, "On the 'Steerability' of Generative Adversarial Networks", 2020, eq. 1: w that makes the
mean of |G(z + alpha w) - edit(G(z), alpha)|^2 least. Published: Adam, learning rate 1e-4, 20,000 samples.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

from torch import Tensor

from morph.directions.changes import Change
from morph.directions.descent import Fit, descended
from morph.directions.directions import Straight
from morph.directions.generator import Generator, Points, pictures_of


def steer(generator: Generator, points: Points, change: Change, fit: Fit) -> Steps[float, None, Straight]:
    """One direction for a change, from points that are drawn over and over; an amount of 1 is one of the change.

    Yields losses.
    """
    plain = pictures_of(generator, points)

    def loss(rows: Tensor, amounts: Tensor, shifts: Tensor) -> Tensor:
        wanted, counted = change(plain[rows], amounts.to(plain))
        return masked_error(generator.picture(points[rows], shifts), wanted, counted)

    return (yield from descended(points, fit, "steer", loss))


def masked_error(made: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """Mean squared error of pictures (N,3,H,W), where a mask (N,1,H,W) counts them."""
    return ((made - wanted).square() * counted).sum() / (counted.sum() * made.shape[1]).clamp_min(1)
