"""Pictures noised and painted anew."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from torch import Tensor

from morph.diffusion import ddim
from morph.diffusion.ddim import Step
from morph.diffusion.prediction import Predictor
from morph.diffusion.schedule import Schedule


def sdedit(
    predict: Predictor, schedule: Schedule, clean: Tensor, noise: Tensor, times: Sequence[int]
) -> Generator[Step, None, Tensor]:
    """Noise clean latents (B,C,h,w) to ``times[0]`` and denoise them; yields every step, returns clean latents.

    Meng et al., "SDEdit", 2022, algorithm 1, along the ODE: what is finer than the noise is painted anew, and the
    more, the noisier the first time. With one noise (1,C,h,w) for all the frames of a film it does not flicker.
    """
    return ddim.sample(predict, schedule, schedule.noise(clean, noise.expand_as(clean), times[0]), times)


def turned(noise: Tensor, fresh: Tensor, share: float) -> Tensor:
    """Noise (B,C,h,w) turned towards fresh noise, by a share of a right angle: it stays as long as noise is.

    A variation of the picture that the first comes back to. Ramesh et al., "Hierarchical Text-Conditional Image
    Generation with CLIP Latents", 2022, section 3.1, keep an image's embedding and sample anew; here what is kept
    is a share of the inverted latents.
    """
    angle = share * math.pi / 2
    return math.cos(angle) * noise + math.sin(angle) * fresh
