"""What all edits have, and how often the denoiser is asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.request.options.setting import Section, setting

Inversion = Literal["fixed-point", "uni-inv", "fireflow", "rf-inversion"]


@dataclass(frozen=True, kw_only=True)
class Numbers(Section):
    """What all edits have."""

    negative: str = setting("", "The negative prompt of classifier-free guidance.")
    steps: int = setting(50, "Of the denoising, from pure noise.", 1, 999)
    guidance: float = setting(7.5, "Classifier-free guidance; 1 is none.", 0, 100)
    seed: int = setting(0, "Of every random number.")
    amount: float = setting(1.0, "How much of the edit: 0 leaves the picture as it is.", 0, 1)
    inversion: Inversion = setting("fixed-point", "How the noise is found that a picture comes back from.")
    inversion_iterations: int = setting(3, "Iterations of each step of fixed-point.", 1, 100)

    @property
    def passes(self) -> int:
        """Forwards of a guided prediction."""
        return passes(self.guidance)

    @property
    def draws(self) -> bool:
        """Whether noise is drawn for the inversion."""
        return self.inversion == "rf-inversion"

    def taken(self, strength: float = 1.0) -> int:
        """How many of the steps a share of them is: one at least, as a model's times are."""
        return self.steps - round((1 - strength) * (self.steps - 1))

    def inverting(self, strength: float = 1.0) -> int:
        """Forwards by which the picture is inverted by so many of the steps."""
        return inversion_forwards(self.inversion, self.taken(strength), self.inversion_iterations)

    def sampling(self, strength: float = 1.0) -> int:
        """Predictions by which the solver comes down so many of the steps."""
        return sampling_forwards(self.inversion, self.taken(strength))


def passes(guidance: float) -> int:
    """Forwards of a prediction that is guided so far."""
    return 1 if guidance == 1 else 2


def inversion_forwards(inversion: Inversion, steps: int, iterations: int) -> int:
    """Forwards by which a picture is inverted in so many steps."""
    return {"fixed-point": steps * iterations, "rf-inversion": steps}.get(inversion, steps + 1)


def sampling_forwards(inversion: Inversion, steps: int) -> int:
    """Predictions by which a picture is denoised in so many steps; without steps there are none."""
    return steps + (inversion == "fireflow" and steps > 0)
