"""The settings of in-fill: how frames are made of two knots as they are, and how they attend to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipelines.request.options.setting import Section, setting

if TYPE_CHECKING:  # settings are read without torch
    from torch import Tensor

Mix = Literal["slerp", "clipped", "moved"]
"""How the noise of two knots becomes that of a frame; see :class:`Infill`."""


@dataclass(frozen=True, kw_only=True)
class Infill(Section, prefix="infill."):
    """What frames are beyond DiffMorpher's: the choices of AID, FreeMorph, NoiseDiffusion and others."""

    skip: float = setting(
        0.0,
        "The share of the steps, from the noisy end, that frames and inversion leave out; with align.on it is "
        "align.skip.",
        0,
        1,
        scope="fit",
    )
    mix: Mix = setting(
        "slerp",
        "How the noise of both ends is mixed: slerp; clipped, without its extremes and with more of both images in "
        "it (NoiseDiffusion); or moved, both images carried to where things stand in the frame, by what the "
        "denoiser sees in them (DreamMover).",
    )
    steps: int = setting(
        0,
        "Steps by which frames are denoised, where these are fewer than those of the inversion; 0 takes them all. "
        "With align.on it has no meaning.",
        0,
        999,
    )
    guidance: float = setting(1.0, "Classifier-free guidance of frames; 1 is none, and costs half.", 0, 100)
    guidance_halfway: float = setting(
        1.0, "How many times as much it is halfway between two images, in a straight line from these.", 0, 100
    )
    guide: str = setting("", "A prompt for all frames between images, in place of theirs (PAID).")
    layers: Literal["shared", "all", "late"] = setting(
        "shared",
        "Which attention is shared: that which was chosen for the model's family, of a U-Net that on the way up; "
        "all; or late, that of the last quarter.",
    )
    text: bool = setting(False, "Share attention to texts too; of a model that attends to text and picture apart.")
    own: float = setting(
        1.0,
        "The share of the steps, from the noisy end, after which frames attend to themselves beside their ends; 1 "
        "is never.",
        0,
        1,
    )
    curve: float = setting(
        1.0,
        "a of the Beta(a, a) whose quantiles are the ends' shares in attention; 1 is alpha itself.",
        0.01,
        1000,
    )

    codes: bool = setting(
        False,
        "Tell the denoiser the semantic codes of both images, lerped in between, as diffusion autoencoders do. The "
        "model needs codes; see configs/edits.md.",
        scope="fit",
    )

    @property
    def guided(self) -> bool:
        """Whether frames are guided anywhere."""
        return self.guidance != 1 or self.guidance_halfway != 1

    @property
    def passes(self) -> int:
        """Forwards that a prediction of a frame takes."""
        return 2 if self.guided else 1

    @property
    def guidance_most(self) -> float:
        """That of a frame halfway."""
        return self.guidance * self.guidance_halfway

    def guidance_at(self, places: Tensor) -> float | Tensor:
        """Guidance of frames at places (B,) between images, at 0 and 1; one number where it is the same for all."""
        if self.guidance_halfway == 1:
            return self.guidance
        return self.guidance * (1 + (self.guidance_halfway - 1) * (1 - 2 * (places - 0.5).abs()))
