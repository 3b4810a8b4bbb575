"""What spaces of a diffusion model have in common: the way down from noise, and the way up from a picture."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from morph import random
from morph.diffusion.condition import Condition
from morph.diffusion.model import LatentDiffusion
from morph.directions.generator import BATCH, Points, Shifts
from morph.errors import SettingsError


@dataclass(frozen=True)
class Diffused(ABC):
    """A model that makes pictures of ``size`` (width, height) in ``steps``; a subclass says what is moved.

    guidance: on the way down, away from no text at all; 1 is none.
    """

    model: LatentDiffusion
    size: tuple[int, int] = (128, 128)
    steps: int = 12
    guidance: float = 1.0

    def __post_init__(self) -> None:
        stride = self.model.geometry.stride
        if any(side % stride or side < stride for side in self.size):
            raise SettingsError(
                f"pictures of {self.size[0]}x{self.size[1]} are nothing that {self.model.name} makes; "
                f"give a size in steps of {stride}"
            )

    @property
    @abstractmethod
    def space(self) -> str:
        """What its codes are, in a word."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """See :class:`morph.directions.generator.Generator`."""

    @property
    def name(self) -> str:
        """See :class:`morph.directions.generator.Generator`."""
        return f"the {self.space} of model {self.model.name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """See :class:`morph.directions.generator.Generator`."""
        own = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "model"}
        return {"space": self.space, **json.loads(json.dumps(own))}

    @property
    def fingerprint(self) -> str:
        """See :class:`morph.directions.generator.Generator`: the model's, and of which space."""
        return hashlib.blake2b(f"{self.model.fingerprint} {self.space}".encode(), digest_size=8).hexdigest()

    @property
    def width(self) -> int:
        """Numbers of a code, D."""
        return math.prod(self.shape)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C,h,w) of what pictures are decoded from."""
        return self.model.latent_shape(self.size)

    @property
    def times(self) -> tuple[int, ...]:
        """From pure noise down to a picture."""
        return self.model.times(self.steps, self.latent_shape)

    def noise(self, count: int, seed: int) -> Tensor:
        """Latents (N,C,h,w) of pure noise, each by its number alone."""
        drawn = [random.normal(self.latent_shape, seed, "directions", index) for index in range(count)]
        return torch.stack(drawn).to(self.model.device)

    def encoded(self, pictures: Tensor) -> Tensor:
        """Latents (N,C,h,w) of pictures (N,3,H,W) in [-1,1].

        Raises:
            SettingsError: they are of another size.
        """
        if tuple(pictures.shape[:1:-1]) != self.size:
            raise SettingsError(f"pictures of {pictures.shape[3]}x{pictures.shape[2]}; the space is of {self.size}")
        return torch.cat([self.model.encode(part) for part in pictures.to(self.model.device).split(BATCH)])

    @abstractmethod
    def sample(self, count: int, seed: int) -> Points:
        """See :class:`morph.directions.generator.Generator`."""

    @abstractmethod
    def project(self, pictures: Tensor) -> Points:
        """See :class:`morph.directions.generator.Generator`."""

    def coded(self, pictures: Tensor) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""
        return self.project(pictures).codes

    @abstractmethod
    def picture(self, points: Points, shifts: Shifts | None = None) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""

    @abstractmethod
    def weights(self) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""

    def _text(self, prompt: str, count: int) -> Condition:
        return self.model.embed([prompt]).expand(count)
