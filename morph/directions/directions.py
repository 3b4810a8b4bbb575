"""Directions of a space, straight or bent, and how far to go along them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.errors import SettingsError

STEPS_A_UNIT = 4
"""Into how many short straight ways a bent one is cut for each amount of 1."""
_LEAST = 1e-12


class Directions(ABC):
    """K directions of codes of D numbers. An amount of 1 is ``scales`` (K,) long, a natural unit of each."""

    scales: Tensor

    def __len__(self) -> int:
        return len(self.scales)

    @property
    @abstractmethod
    def width(self) -> int:
        """D."""

    @abstractmethod
    def shifts(self, codes: Tensor, number: int, amounts: Tensor) -> Tensor:
        """What takes codes (N,D) by amounts (N,) along direction ``number``, from 0: (N,D)."""

    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """As named tensors, to be kept in a file."""


@dataclass(frozen=True)
class Straight(Directions):
    """The same for all codes: unit vectors (K,D) and their ``scales`` (K,)."""

    vectors: Tensor
    scales: Tensor

    @property
    def width(self) -> int:
        """See :class:`Directions`."""
        return self.vectors.shape[1]

    def shifts(self, codes: Tensor, number: int, amounts: Tensor) -> Tensor:
        """See :class:`Directions`."""
        vector = (self.vectors[number] * self.scales[number]).to(codes)
        return amounts.to(codes)[:, None] * vector

    def tensors(self) -> Mapping[str, Tensor]:
        """See :class:`Directions`."""
        return {"vectors": self.vectors, "scales": self.scales}


@dataclass(frozen=True)
class Bent(Directions):
    """The gradients of K functions f(z) = sum_m a_m exp(-gamma_m |z - s_m|^2), which turn as one goes along them.

    Tzelepis, Tzimiropoulos & Patras, "WarpedGANSpace", 2021, eq. 2 and 3. supports: s (K,M,D); weights: a (K,M),
    gammas (K,M) above 0; scales (K,).
    """

    supports: Tensor
    weights: Tensor
    gammas: Tensor
    scales: Tensor

    @property
    def width(self) -> int:
        """See :class:`Directions`."""
        return self.supports.shape[2]

    def at(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Unit vectors (N,D): grad f / |grad f| of function ``numbers`` (N,) at each of codes (N,D)."""
        supports = self.supports[numbers].to(codes)
        weights, gammas = (value[numbers].to(codes) for value in (self.weights, self.gammas))
        away = codes[:, None] - supports
        # the largest exponent is taken out: it scales the gradient, which is made a unit vector anyway
        powers = -gammas * away.square().sum(2)
        bumps = weights * gammas * (powers - powers.amax(1, keepdim=True).detach()).exp()
        return F.normalize(-(bumps[:, :, None] * away).sum(1), dim=1, eps=_LEAST)

    def shifts(self, codes: Tensor, number: int, amounts: Tensor) -> Tensor:
        """See :class:`Directions`; by short straight ways, ``STEPS_A_UNIT`` for an amount of 1."""
        amounts = amounts.to(codes)
        count = max(1, round(float(amounts.abs().max()) * STEPS_A_UNIT)) if len(amounts) else 1
        numbers = torch.full((len(codes),), number)
        step = amounts[:, None] * self.scales[number].to(codes) / count
        here = codes
        for _ in range(count):
            here = here + step * self.at(here, numbers)
        return here - codes

    def tensors(self) -> Mapping[str, Tensor]:
        """See :class:`Directions`."""
        return {"supports": self.supports, "weights": self.weights, "gammas": self.gammas, "scales": self.scales}


def unit(vectors: Tensor) -> Tensor:
    """Vectors (K,D) of length 1, float32, each with its largest number above 0: of two signs the same is chosen."""
    vectors = F.normalize(vectors.detach().double(), dim=1, eps=_LEAST)
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return (vectors * torch.where(largest < 0, -1.0, 1.0)).float()


def check_spread(codes: Tensor) -> None:
    """Refuse codes (N,D) that do not differ: no direction has a unit there.

    Raises:
        SettingsError: fewer than two, or all the same.
    """
    if len(codes) < 2:
        raise SettingsError(f"{len(codes)} code says nothing of a direction; draw more samples, by --samples")
    if float((codes - codes[:1]).abs().max()) == 0:
        raise SettingsError(
            "all codes are the same: draw more samples, by --samples, or take another --space (in that of texts "
            "all pictures have the code of the one prompt)"
        )


def spreads(vectors: Tensor, codes: Tensor) -> Tensor:
    """The standard deviation (K,) of codes (N,D) along each unit vector (K,D); 1 where it is 0."""
    if len(codes) < 2:
        return torch.ones(len(vectors))
    found = (codes.double().cpu() @ vectors.double().T).std(0).float()
    return torch.where(found > 0, found, torch.ones_like(found))


def straight(vectors: Tensor, codes: Tensor, signed: bool = False) -> Straight:
    """Directions along vectors (K,D) of any length, in units of how much codes (N,D) differ along each.

    signed: which way a vector points means something, and is kept.
    """
    units = F.normalize(vectors.detach().double(), dim=1, eps=_LEAST).float() if signed else unit(vectors)
    return Straight(units.cpu(), spreads(units.cpu(), codes))


def of_its_length(way: Tensor) -> Straight:
    """One direction, which an amount of 1 goes the whole way (1,D) along."""
    way = way.detach().float().cpu()
    return Straight(F.normalize(way, dim=1, eps=_LEAST), way.norm(dim=1).clamp_min(1e-6))
