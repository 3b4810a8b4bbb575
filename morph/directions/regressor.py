"""The direction along which a regressor's answer grows, and as little else as possible changes.

Zhuang, Koyejo & Schwing, "Enjoy Your Editing: Controllable GANs for Image Editing via Latent Space Navigation",
2021, eq. 2 to 5: with alpha the regressor's answer in [0,1] and epsilon in [-1,1], the picture of z + epsilon d
should have the answer alpha + epsilon, cut to [0,1], by binary cross entropy; look like the picture of z, by a
perceptual distance; and be real. Their judge of the last is the GAN's discriminator. A diffusion model or GLO has
none: here codes are held to where codes are, by how far they lie out in units of the codes' own spread.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

from torch import Tensor
from torch.nn import functional as F

from morph.directions.descent import Fit, descended
from morph.directions.directions import Straight
from morph.directions.generator import Generator, Points, Scorer, pictures_of, scores_of
from morph.perception.lpips import PerceptualDistance


def regressed(
    generator: Generator,
    points: Points,
    share: Scorer,
    perception: PerceptualDistance,
    fit: Fit,
    content: float,
    realism: float,
) -> Steps[float, None, Straight]:
    """One direction for a score in [0,1]; an amount of 1 is epsilon 1. Yields losses.

    content, realism: how much looking alike and lying among the codes count beside the score.
    """
    mean, spread = points.codes.mean(0), points.codes.std(0).clamp_min(1e-6)
    plain = pictures_of(generator, points)
    scores = scores_of(share, plain)

    def loss(rows: Tensor, amounts: Tensor, shifts: Tensor) -> Tensor:
        made = generator.picture(points[rows], shifts)
        wanted = (scores[rows] + amounts.to(scores)).clamp(0, 1)
        lost = F.binary_cross_entropy(share(made).clamp(1e-4, 1 - 1e-4), wanted)
        if content:
            lost = lost + content * perception.loss(made.clamp(-1, 1), plain[rows]).to(lost)
        if realism:
            lost = lost + realism * outside(points.codes[rows] + shifts, mean, spread)
        return lost

    return (yield from descended(points, fit, "regressor", loss))


def outside(codes: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """How much farther out than usual codes (N,D) lie, squared, in units of their spread (D,); 0 within."""
    return (((codes - mean) / spread).square().mean(1) - 1).clamp_min(0).mean()
