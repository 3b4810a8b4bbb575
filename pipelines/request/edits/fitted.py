"""Edits for which something is fitted to the picture, in minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import setting

_CLIP = "CLIP by which the edit is fitted: embedded, a folder, or a hub id."
_TELLING = 2
"""Forwards by which it is found how large a shift of h tells, at least."""
_IDENTITY = "Weight of staying as the picture is, place by place."


@dataclass(frozen=True, kw_only=True)
class DiffusionClip(
    How,
    name="diffusionclip",
    does="tunes the model by a LoRA until what it makes of the picture has changed as the texts do, in CLIP's eyes",
    paper="Kim et al., DiffusionCLIP: Text-Guided Diffusion Models for Robust Image Manipulation, 2022",
    needs=("prompt", "source"),
    takes=("mask",),
    published={"guidance": 1.0, "steps": 80},
    idle=("guidance", "negative"),
):
    """Options of DiffusionCLIP."""

    strength: float = setting(0.5, "The share of the steps that the picture is inverted by.", 0, 1)
    painted: int = setting(6, "Steps by which the fit paints.", 1, 100)
    fit: int = setting(40, "Steps of the fit.", 1, 100_000)
    rank: int = setting(16, "Of the LoRA's matrices.", 1, 1024)
    learning_rate: float = setting(1e-3, "Adam's.", 0, 1)
    direction: float = setting(3.0, "Weight of changing as the texts do.", 0, 1000)
    identity: float = setting(1.0, _IDENTITY, 0, 1000)
    variants: int = setting(2, "Other noises that the fit sees besides the picture's own.", 0, 256)
    clip: str = setting("embedded", _CLIP, names="weights", known=("embedded",))

    @property
    def draws(self) -> bool:
        """See :class:`How`: the LoRA begins at random, and changes nothing before it is fitted."""
        return self.learning_rate > 0

    @property
    def fits(self) -> bool:
        """See :class:`How`."""
        return True

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        fitting = (
            2 * self.fit * min(self.painted, numbers.taken(self.strength))
        )  # each there, and once more on the way back
        return numbers.inverting(self.strength) + fitting + len(amounts) * numbers.sampling(self.strength)


@dataclass(frozen=True, kw_only=True)
class Asyrp(
    How,
    name="asyrp",
    does="shifts h, the middle of a U-Net, in what it believes the picture is, and not in what it takes for noise",
    paper="Kwon et al., Diffusion Models already have a Semantic Latent Space, 2023",
    needs=("prompt", "source"),
    takes=("mask",),
    published={"guidance": 1.0},
    idle=("guidance", "negative"),
):
    """Options of Asyrp."""

    rounds: int = setting(
        4,
        "How often the fit goes down the steps; with 0 nothing is fitted: h moves as the texts move it.",
        0,
        10_000,
    )
    until: float = setting(
        0.5,
        "Where shifting ends, as a share of the times; 0 looks for the place where the picture is recognised.",
        0,
        1,
    )
    boosted: float = setting(
        0.0, "The share of the times, the last ones, with fresh noise in each step; the paper's is 0.2.", 0, 1
    )
    scale: float = setting(1.0, "Of the shift; more than 1 goes beyond what was fitted.", 0, 1000)
    learning_rate: float = setting(0.01, "Adam's.", 0, 10)
    direction: float = setting(1.0, "Weight of changing as the texts do.", 0, 1000)
    identity: float = setting(1.0, _IDENTITY, 0, 1000)
    clip: str = setting("embedded", _CLIP, names="weights", known=("embedded",))

    @property
    def draws(self) -> bool:
        """See :class:`How`: what is fitted begins at random, and what texts make of h does not."""
        fitted = self.rounds > 0 and self.learning_rate > 0 and self.scale > 0
        return fitted or self.boosted > 0

    @property
    def fits(self) -> bool:
        """See :class:`How`."""
        return self.rounds > 0

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        # where shifting ends is not known before the picture is recognised: half of the way, as published
        edited = math.ceil((1 - (self.until or 0.5)) * numbers.steps)
        looking = 0 if self.until else numbers.steps
        fitting = _TELLING + 3 * self.rounds * edited if self.rounds else 2 * edited
        return numbers.inverting() + looking + fitting + len(amounts) * (numbers.steps + edited)
