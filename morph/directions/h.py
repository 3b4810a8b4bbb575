"""The space of h, what the middle block of a U-Net says, over a range of times.

Kwon, Jeong & Uh, "Diffusion Models already have a Semantic Latent Space" (Asyrp), 2023, eq. 7: on the noisier
part of the way down, what the denoiser believes the picture to be is made of h + shift, and what it believes the
noise to be of h as it is. Their h-space is edited down to the time where LPIPS(x, P_t) is 0.33, or 500 of 1000.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from morph.diffusion import ddim
from morph.diffusion.guidance import guided
from morph.diffusion.hspace import middle_block, reading, shifting
from morph.diffusion.prediction import Predictor
from morph.directions.diffused import Diffused
from morph.directions.generator import BATCH, Points, Shifts
from morph.errors import ModelError, SettingsError


@dataclass(frozen=True)
class HSpace(Diffused):
    """Codes are the mean of h over the edited times, all of the picture under one ``prompt``.

    until: the share of the model's times that is edited, from the noisy end. whole: a code is the whole map
    (C,h,w), which says what is where; else the mean over the map (C,1,1), which means the same at every place and
    size. inversions: iterations of each step on the way up from a picture, see
    :func:`morph.diffusion.ddim.invert`.
    """

    until: float = 0.5
    whole: bool = False
    prompt: str = ""
    inversions: int = 2

    @property
    def space(self) -> str:
        """What its codes are."""
        return "h map" if self.whole else "h"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(C,h,w), or (C,1,1); the denoiser is asked once."""
        with reading(self.model) as found, torch.no_grad():
            noise = torch.zeros(1, *self.latent_shape, device=self.model.device)
            self.model.output(noise, self.times[0], self._text(self.prompt, 1))
        _, channels, height, width = found[0].shape
        return (channels, height, width) if self.whole else (channels, 1, 1)

    def edited(self, t: int) -> bool:
        """Whether h is shifted at a time."""
        return t >= (1 - self.until) * self.model.schedule.length

    def sample(self, count: int, seed: int) -> Points:
        """See :class:`morph.directions.generator.Generator`: of pure noise, without a picture made."""
        noise = self.noise(count, seed)
        return Points.cat([self._points(part) for part in noise.split(BATCH)])

    def project(self, pictures: Tensor) -> Points:
        """See :class:`morph.directions.generator.Generator`: by DDIM inversion."""
        clean = self.encoded(pictures)
        return Points.cat([self._inverted(part) for part in clean.split(BATCH)])

    def picture(self, points: Points, shifts: Shifts | None = None) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""
        latents = points.rest["latents"]
        added = None if shifts is None else shifts.unflatten(1, self.shape)
        predict = self._predictor(len(latents))
        for t, t_next in pairwise(self.times):
            clean, noise = predict(latents, t)
            if added is not None and self.edited(t):
                with shifting(self.model, lambda h: added.repeat(len(h) // len(added), 1, 1, 1)):
                    clean = predict(latents, t).clean
            latents = self.model.schedule.noise(clean, noise, t_next)
        return self.model.decode(latents)

    def weights(self) -> Tensor:
        """See :class:`morph.directions.generator.Generator`: of the shortcut into the way up, which is linear.

        Raises:
            ModelError: another kind of U-Net, or whole maps, of which no layer sees every number.
        """
        middle_block(self.model)
        try:
            layer: Any = self.model.denoiser.network.up_blocks[0].resnets[0].conv_shortcut
            weight: Tensor = layer.weight
        except (AttributeError, IndexError, TypeError) as error:
            raise ModelError(f"model {self.model.name} has no shortcut that sees h first") from error
        if self.whole:
            raise ModelError(f"no layer sees the whole map of {self.name}; take --space h")
        return weight.detach().float()[:, : self.shape[0]].flatten(1)

    def _predictor(self, count: int) -> Predictor:
        text, negative = self._text(self.prompt, count), self._text("", 1)
        return guided(self.model.conditional(), text, negative, self.guidance)

    @torch.no_grad()
    def _points(self, latents: Tensor) -> Points:
        """Latents of pure noise (B,C,h,w) with what h is on their way down."""
        codes: list[Tensor] = []
        predict = self._predictor(len(latents))
        here = latents
        for t, t_next in pairwise(self.times):
            if not self.edited(t):
                break
            with self._read(codes, len(latents)):
                clean, noise = predict(here, t)
            here = self.model.schedule.noise(clean, noise, t_next)
        return Points(self._mean(codes), {"latents": latents})

    @torch.no_grad()
    def _inverted(self, clean: Tensor) -> Points:
        """Clean latents (B,C,h,w) brought to pure noise, with what h is on the way."""
        predict = self._predictor(len(clean))
        steps = ddim.invert(predict, self.model.schedule, clean, self.times, self.inversions)
        by_time: dict[int, Tensor] = {}
        latents = clean
        with reading(self.model) as found:
            for step in steps:
                by_time[step.t] = self._code(found.pop()[-len(clean) :])
                found.clear()
                latents = step.latents
        return Points(self._mean([code for t, code in by_time.items() if self.edited(t)]), {"latents": latents})

    @contextmanager
    def _read(self, codes: list[Tensor], count: int) -> Iterator[None]:
        with reading(self.model) as found:
            yield
        codes.append(self._code(found[-1][-count:]))  # under guidance, the text's come last

    def _code(self, h: Tensor) -> Tensor:
        return (h if self.whole else h.mean((2, 3))).float().flatten(1)

    def _mean(self, codes: list[Tensor]) -> Tensor:
        if not codes:
            raise SettingsError(f"until is {self.until}: h is looked at at no time; raise it, or the steps")
        return torch.stack(codes).mean(0)
