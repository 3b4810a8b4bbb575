"""The space of a text's tokens: one vector is added to all of them.

What GANs' spaces have in common with it is that a network maps a simple input to it, and layers that see it first
are linear: to_k and to_v of cross attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from morph import random
from morph.diffusion import ddim
from morph.diffusion.condition import Condition
from morph.diffusion.guidance import guided
from morph.directions.diffused import Diffused
from morph.directions.generator import BATCH, Points, Shifts
from morph.errors import ModelError, SettingsError
from morph.steps import drain

SUBJECTS = (
    *("a cat", "a dog", "a lion", "a tiger", "a fox", "a bear", "a horse", "a cow", "a bird", "an owl", "a fish"),
    *("a butterfly", "a rose", "a sunflower", "a tree", "a forest", "a mountain", "the sea", "a beach", "a river"),
    *("a city", "a street", "a house", "a church", "a car", "a motorbike", "a train", "an airplane", "a boat"),
    *("a cup of coffee", "a plate of food", "an apple", "a strawberry", "a person", "a face", "a child", "a crowd"),
)
"""What texts are about, where nobody gave any."""
LOOKS = (
    "a photo of {}",
    "a painting of {}",
    "a close-up photo of {}",
    "a dark photo of {}",
    "a bright photo of {}",
)
PROMPTS = tuple(look.format(subject) for subject in SUBJECTS for look in LOOKS)


@dataclass(frozen=True)
class TextSpace(Diffused):
    """Codes are the mean of a text's tokens (D,); a text is drawn from ``prompts``.

    prompt: what a picture that is projected shows. inversions: see :class:`morph.directions.h.HSpace`.
    """

    prompts: tuple[str, ...] = PROMPTS
    prompt: str = ""
    inversions: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.prompts:
            raise SettingsError("the space of texts needs a prompt at least")

    @property
    def space(self) -> str:
        """What its codes are."""
        return "text"

    @property
    def shape(self) -> tuple[int, ...]:
        """(D,)."""
        return (self._text("", 1).tokens.shape[2],)

    def sample(self, count: int, seed: int) -> Points:
        """See :class:`morph.directions.generator.Generator`: a text and noise for each."""
        chosen = [self._chosen(seed, index) for index in range(count)]
        condition = Condition.cat([self.model.embed([text]) for text in chosen])
        return self._points(condition, self.noise(count, seed))

    def project(self, pictures: Tensor) -> Points:
        """See :class:`morph.directions.generator.Generator`: by DDIM inversion under ``prompt``."""
        found = []
        for clean in self.encoded(pictures).split(BATCH):
            text, negative = self._text(self.prompt, len(clean)), self._text("", 1)
            predict = guided(self.model.conditional(), text, negative, self.guidance)
            found.append(drain(ddim.invert(predict, self.model.schedule, clean, self.times, self.inversions)))
        latents = torch.cat(found)
        return self._points(self._text(self.prompt, len(latents)), latents)

    def picture(self, points: Points, shifts: Shifts | None = None) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""
        latents, condition = points.rest["latents"], Condition.unpacked(points.rest, "text")
        if shifts is not None:
            condition = replace(condition, tokens=condition.tokens + shifts[:, None])
        predict = guided(self.model.conditional(), condition, self._text("", 1), self.guidance)
        for t, t_next in pairwise(self.times):
            clean, noise = predict(latents, t)
            latents = self.model.schedule.noise(clean, noise, t_next)
        return self.model.decode(latents)

    def weights(self) -> Tensor:
        """See :class:`morph.directions.generator.Generator`: to_k and to_v of all cross attentions.

        Raises:
            ModelError: the model has no cross attention.
        """
        names = [site.name for site in self.model.denoiser.sites if site.kind == "cross"]
        layers = self.model.projections
        found = [layers[f"{name}.{part}"].weight.detach().float() for name in names for part in ("to_k", "to_v")]
        if not found:
            raise ModelError(
                f"model {self.model.name} has no cross attention, whose weights would see a text first"
            )
        return torch.cat(found)

    def _chosen(self, seed: int, index: int) -> str:
        drawn = torch.randint(len(self.prompts), (), generator=random.generator(seed, "directions text", index))
        return self.prompts[int(drawn)]

    def _points(self, condition: Condition, latents: Tensor) -> Points:
        counted = torch.ones(condition.tokens.shape[:2]) if condition.mask is None else condition.mask
        share = counted.to(condition.tokens)[:, :, None]
        codes = (condition.tokens * share).sum(1) / share.sum(1)
        rest: Mapping[str, Tensor] = {"latents": latents, **condition.packed("text")}
        return Points(codes, rest)
