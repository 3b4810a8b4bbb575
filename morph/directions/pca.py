"""Directions along which codes differ most.

Härkönen, Hertzmann, Lehtinen & Paris, "GANSpace: Discovering Interpretable GAN Controls", 2020, section 2: the
principal components of codes, of 10^6 samples, 300,000 in their code; here of far fewer. Haas et al.,
"Discovering Interpretable Directions in the Semantic Latent Space of Diffusion Models", 2023, do it with h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from morph.directions.directions import Straight, check_spread, unit


def principal(codes: Tensor, count: int) -> tuple[Straight, Tensor]:
    """The first ``count`` principal components of codes (N,D), and the share (K,) of the variance of each.

    An amount of 1 is one standard deviation. There are no more of them than N - 1 or D.

    Raises:
        SettingsError: fewer than two codes, or codes that are all the same.
    """
    check_spread(codes)
    centred = codes.double().cpu() - codes.double().cpu().mean(0)
    _, singular, vectors = torch.linalg.svd(centred, full_matrices=False)
    variances = singular.square() / (len(codes) - 1)
    total = float(variances.sum())
    count = min(count, len(codes) - 1, codes.shape[1], int((variances > 1e-9 * total).sum()))
    directions = Straight(unit(vectors[:count]), variances[:count].sqrt().float())
    return directions, (variances[:count] / total).float()
