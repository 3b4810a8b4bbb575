"""The settings of what is fitted to images: LoRAs and text embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.request.options.setting import Section, setting

_WINDOW = "Steps whose mean loss is compared with that of as many before."
_TOLERANCE = "The fit stops when it gains less than this share in a window; 0: never."
MAX_RANK = 1024
"""Of a LoRA's matrices."""


@dataclass(frozen=True, kw_only=True)
class Lora(Section, prefix="lora."):
    """How each keyframe's LoRA is fitted (DiffMorpher, section 4.1), or one for both ends of a way."""

    steps: int = setting(200, "Steps of the fit; 0 leaves LoRAs out.", 0, 100_000)
    rank: int = setting(16, "Of the matrices.", 1, MAX_RANK)
    learning_rate: float = setting(2e-4, "Adam's.", 0, 1)
    weight_decay: float = setting(1e-2, "Adam's.", 0, 1)
    draws: int = setting(1, "Noise samples per keyframe and step.", 1, 256)
    window: int = setting(50, _WINDOW, 1, 100_000)
    tolerance: float = setting(0.0, _TOLERANCE, 0, 1)
    joint: bool = setting(
        False,
        "One LoRA for both images of a way, the same all along it, in place of one for each image (IMPUS, "
        "DreamMover). Both images are then inverted with it, anew for each way.",
    )
    adaptive: bool = setting(
        False,
        "Have the rank follow from how far frames without a LoRA stray on the way from one image to the other, in "
        "place of lora.rank (IMPUS); the rank is a part of the recipe. Only with lora.joint.",
    )
    negative_steps: int = setting(
        0,
        "Steps by which another LoRA is fitted to both images under the negative text: guidance's branch of that "
        "text hears it in place of the first (IMPUS). 0 leaves it out. Only with lora.joint.",
        0,
        100_000,
    )
    negative_rank: int = setting(2, "Of its matrices.", 1, MAX_RANK)


@dataclass(frozen=True, kw_only=True)
class TextualInversion(Section, prefix="textual_inversion."):
    """How each keyframe's text embedding is fitted (Wang & Golland, section 4.2)."""

    steps: int = setting(0, "Steps of the fit; 0 leaves it out.", 0, 100_000)
    learning_rate: float = setting(1e-4, "Adam's.", 0, 1)
    guidance: float = setting(
        7.5, "Classifier-free guidance of the loss; with 1 the negative is not fitted, and it costs half.", 0, 100
    )
    times: Literal["middle", "all"] = setting(
        "middle", "How noisy images are: by the middle third of a model's times, or by any."
    )
    augment: bool = setting(True, "Crop images and change their colours a little, otherwise at each step.")
    window: int = setting(50, _WINDOW, 1, 100_000)
    tolerance: float = setting(0.0, _TOLERANCE, 0, 1)
