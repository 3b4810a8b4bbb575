"""What editors that are fitted have in common: what a step of theirs tells, and where they cannot work."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError


class Tried(NamedTuple):
    """A step of a fit: its loss, and the clean latents (1,C,h,w) float32 that it was of, made from time ``t``."""

    loss: float
    t: int
    clean: Tensor

    @property
    def step(self) -> Step:
        """As samplers tell theirs."""
        return Step(self.t, self.clean, self.clean)


def check_can_fit(model: LatentDiffusion) -> None:
    """Raise ModelError where a denoiser's blocks wait on the CPU: no gradient would find their weights."""
    if model.offload == "blocks":
        raise ModelError(
            "an edit that is fitted needs the whole denoiser on the device, and --offload blocks keeps it off: "
            "take --offload components"
        )
