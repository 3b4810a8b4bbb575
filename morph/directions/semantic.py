"""The space of semantic codes: what pictures show, in a few numbers that the denoiser is told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from morph.diffusion import ddim
from morph.diffusion.guidance import guided
from morph.diffusion.prediction import Predictor
from morph.directions.diffused import Diffused
from morph.directions.generator import BATCH, Points, Shifts
from morph.semantic.codes import Codes, codes_of
from morph.steps import drain


@dataclass(frozen=True)
class SemanticSpace(Diffused):
    """Codes are semantic ones, a row for each level of the U-Net; see :mod:`morph.semantic`.

    prompt: what pictures show. inversions: see :class:`morph.directions.h.HSpace`.
    """

    prompt: str = ""
    inversions: int = 2

    @property
    def space(self) -> str:
        """What its codes are."""
        return "semantic"

    @cached_property
    def all_codes(self) -> Codes:
        """The model's codes.

        Raises:
            ModelError: it has none.
        """
        return codes_of(self.model)

    @property
    def shape(self) -> tuple[int, ...]:
        """(levels, numbers of each)."""
        return self.all_codes.levels, self.all_codes.width

    def sample(self, count: int, seed: int) -> Points:
        """See :class:`morph.directions.generator.Generator`: a code and noise for each."""
        return Points(self.all_codes.prior.drawn(count, seed), {"latents": self.noise(count, seed)})

    def coded(self, pictures: Tensor) -> Tensor:
        """See :class:`morph.directions.generator.Generator`: the encoder's, without an inversion."""
        return torch.cat([self.all_codes.of(part) for part in pictures.to(self.model.device).split(BATCH)])

    def project(self, pictures: Tensor) -> Points:
        """See :class:`morph.directions.generator.Generator`: by DDIM inversion, told each picture's own code."""
        codes, found = self.coded(pictures), []
        for clean, own in zip(self.encoded(pictures).split(BATCH), codes.split(BATCH), strict=True):
            with self.all_codes.told(self.model, own):
                steps = ddim.invert(
                    self._predictor(len(clean)), self.model.schedule, clean, self.times, self.inversions
                )
                found.append(drain(steps))
        return Points(codes, {"latents": torch.cat(found)})

    def picture(self, points: Points, shifts: Shifts | None = None) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""
        latents, codes = points.rest["latents"], points.codes
        predict = self._predictor(len(latents))
        with self.all_codes.told(self.model, codes if shifts is None else codes + shifts.to(codes)):
            for t, t_next in pairwise(self.times):
                clean, noise = predict(latents, t)
                latents = self.model.schedule.noise(clean, noise, t_next)
        return self.model.decode(latents)

    def weights(self) -> Tensor:
        """See :class:`morph.directions.generator.Generator`: of the adapter, each layer at its level's numbers."""
        adapter, (levels, width) = self.all_codes.adapter, self.shape
        rows = []
        for level, weight in zip(adapter.levels, adapter.weights, strict=True):
            before, after = width * level, width * (levels - 1 - level)
            rows.append(torch.nn.functional.pad(weight.float(), (before, after)))
        return torch.cat(rows) * self.all_codes.encoder.deviation

    def _predictor(self, count: int) -> Predictor:
        text, negative = self._text(self.prompt, count), self._text("", 1)
        return guided(self.model.conditional(), text, negative, self.guidance)
