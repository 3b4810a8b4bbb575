"""What pictures are scored by: two texts, or two groups of pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from morph.directions.boundary import separated
from morph.directions.generator import Scorer, scores_of
from morph.perception.clip import CLIP


def by_texts(clip: CLIP, toward: str, away: str) -> Scorer:
    """cos(picture, toward) - cos(picture, away), as :meth:`CLIP.score`, with gradients."""
    toward_vector, away_vector = clip.texts([toward, away])
    difference = toward_vector - away_vector

    def score(pictures: Tensor) -> Tensor:
        return clip.embed_images(pictures) @ difference

    return score


def by_pictures(clip: CLIP, having: Tensor, lacking: Tensor, seed: int) -> Scorer:
    """How far CLIP sees pictures on the side of those (N,3,H,W) that have something, from those that lack it.

    Raises:
        SettingsError: too few of either.
    """
    with torch.no_grad():
        with_it, without = (
            torch.cat([clip.images(part) for part in group.split(8)]) for group in (having, lacking)
        )
    normal = separated(with_it, without, seed).normal.to(with_it)
    middle = (with_it.mean(0) + without.mean(0)) / 2 @ normal

    def score(pictures: Tensor) -> Tensor:
        return clip.embed_images(pictures) @ normal - middle

    return score


def as_share(scorer: Scorer, pictures: Tensor) -> Callable[[Tensor], Tensor]:
    """A scorer's scores as shares in [0,1], by how they are spread over pictures (N,3,H,W)."""
    known = scores_of(scorer, pictures)
    middle, spread = known.mean(), known.std().clamp_min(1e-6)

    def share(made: Tensor) -> Tensor:
        return torch.sigmoid((scorer(made) - middle) / spread)

    return share
