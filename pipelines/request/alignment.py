"""The settings of alignment: how two pictures are brought into register, so that things move instead of fading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.request.bounds import within

Features = Literal["vgg16", "alexnet", "unet"]
"""What may be compared of two pictures; see :class:`Align`."""


@dataclass(frozen=True, kw_only=True)
class Align:
    """Whether and how what is in both pictures of a way is found, and frames made of the two in register.

    on: whether it is done.
    features: what is compared: "vgg16"; "alexnet", quicker and coarser; or "unet", the model's own denoiser.
    points: a file of places in both pictures that are the same, (xa, ya, xb, yb) in pixels of the images as a
        person sees them; empty where nobody says any.
    landmarks: "auto" lets landmarks of faces and bodies help, where MediaPipe is installed and finds one person in
        either picture; or "off".
    skip: the share of the steps, from the noisy end, that frames in register leave out: they start from there.
    inversion_iterations: fixed-point iterations of each step of their inversion.
    """

    on: bool = False
    features: Features = "vgg16"
    points: str = ""
    landmarks: Literal["auto", "off"] = "auto"
    skip: float = 0.75
    inversion_iterations: int = 1

    def __post_init__(self) -> None:
        within("align.skip", self.skip, 0, 1)
        within("align.inversion_iterations", self.inversion_iterations, 1, 100)

    @property
    def landmarks_by(self) -> str | None:
        """The version of MediaPipe that finds landmarks; None where none are looked for."""
        from morph.perception.landmarks import installed  # torch is behind it, which settings do without

        return installed() if self.on and self.landmarks == "auto" else None
