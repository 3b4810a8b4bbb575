"""A generator whose pictures are linear in their codes, so that what should be found is known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from morph import random
from morph.directions.generator import Points


@dataclass(frozen=True)
class Linear:
    """Picture = code @ basis (D,3,H,W) + base; codes are normal, of ``deviations`` (D,) along ``axes`` (D,D)."""

    basis: Tensor
    deviations: Tensor
    axes: Tensor
    base: Tensor
    settings: Mapping[str, Any] = field(default_factory=lambda: {"space": "linear"})
    name: str = "a linear generator"
    fingerprint: str = "linear"

    @property
    def shape(self):
        return (len(self.basis),)

    def sample(self, count, seed):
        drawn = torch.stack([random.normal((len(self.basis),), seed, "linear", index) for index in range(count)])
        return Points(drawn * self.deviations @ self.axes)

    def project(self, pictures):
        flat = (pictures - self.base).flatten(1)
        return Points(torch.linalg.lstsq(self.basis.flatten(1).T, flat.T).solution.T)

    def coded(self, pictures):
        return self.project(pictures).codes

    def picture(self, points, shifts=None):
        codes = points.codes if shifts is None else points.codes + shifts
        return torch.einsum("nd,dchw->nchw", codes, self.basis) + self.base

    def weights(self):
        return self.basis.flatten(1).T


def linear(numbers=6, side=32, seed=0, scale=0.1):
    """One of random pictures and random orthonormal axes; each axis varies less than the one before."""
    generator = random.generator(seed, "linear test")
    axes, _ = torch.linalg.qr(torch.randn(numbers, numbers, generator=generator))
    basis = torch.randn(numbers, 3, side, side, generator=generator) * scale / math.sqrt(numbers)
    deviations = torch.tensor([2.0 / 2**index for index in range(numbers)])
    return Linear(basis, deviations, axes, torch.zeros(1, 3, side, side))
