"""The settings of alignment: how two pictures are brought into register, so that things move instead of fading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.request.options.setting import Section, setting

Features = Literal["vgg16", "alexnet", "unet"]
"""What may be compared of two pictures; see :class:`Align`."""


@dataclass(frozen=True, kw_only=True)
class Align(Section, prefix="align."):
    """Whether and how what is in both pictures of a way is found, and frames made of the two in register."""

    on: bool = setting(False, "Whether it is done.", option="align")
    features: Features = setting(
        "vgg16", "What is compared: vgg16; alexnet, quicker and coarser; or unet, the model's own denoiser."
    )
    points: str = setting(
        "",
        "A file of places in both images that are the same, xa, ya, xb, yb in pixels as a person sees them.",
        names="file",
        option="points",
    )
    landmarks: Literal["auto", "off"] = setting(
        "auto",
        "auto lets landmarks of faces and bodies help, where MediaPipe is installed and finds one person in "
        "either.",
    )
    transition: Literal["local", "uniform"] = setting(
        "uniform",
        "When places turn into the second image: local, each at a time of its own where nothing matches; or "
        "uniform, all alike.",
    )
    skip: float = setting(0.75, "The share of the steps, from the noisy end, that frames leave out.", 0, 1)
    inversion: Literal["steps", "leap"] = setting(
        "steps",
        "How images are brought to where frames start: in steps, by the scheme of `inversion`, or in one leap by "
        "two evaluations, whatever that is.",
    )
    inversion_iterations: int = setting(1, "Iterations of each such step of fixed-point.", 1, 100)

    @property
    def landmarks_by(self) -> str | None:
        """The version of MediaPipe that finds landmarks; None where none are looked for."""
        from morph.perception.landmarks import installed  # torch is behind it, which settings do without

        return installed() if self.on and self.landmarks == "auto" else None
