"""What is asked of a denoiser, and what it answers, whatever it was trained to predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from morph.diffusion.condition import Condition


class Prediction(NamedTuple):
    """What a denoiser believes of noisy latents: the clean latents and the noise, each (B,C,h,w) float32."""

    clean: Tensor
    noise: Tensor


class Control(NamedTuple):
    """What a ControlNet is shown: pictures (B,3,H,W) in [0,1], and how much each counts (B,); 1 is as trained."""

    images: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Conditional:
    """A denoiser that is still to be given its text: (noisy latents (B,C,h,w), time, text of B) to a prediction.

    ``output`` gives what the network itself says, (B,C,h,w) float32, and ``read`` the prediction that this is of
    latents at a time. Guidance mixes what the network says: that is one sum, and a prediction is two. Where
    ``rescaled`` is not 0, each patch of so many latents a side is then as long as under the text alone.
    """

    output: Callable[[Tensor, int, Condition], Tensor]
    read: Callable[[Tensor, int, Tensor], Prediction]
    rescaled: int = 0

    def __call__(self, latents: Tensor, t: int, condition: Condition) -> Prediction:
        """The prediction under a text."""
        return self.read(latents, t, self.output(latents, t, condition))


Predictor = Callable[[Tensor, int], Prediction]
"""(noisy latents (B,C,h,w), time) to a prediction; text, LoRA and attention are bound by the caller."""
