"""The denoiser on its way between two keyframes: each frame under the text, LoRA and pose of its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from morph.diffusion.ddim import Step
from morph.diffusion.guidance import guided, guides
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction
from morph.diffusion.solvers import Likeness, Solver
from morph.errors import MorphError
from morph.steps import drain
from pipelines.between.keyframes import updated
from pipelines.between.pair import Pair


def like_the_nearer(first: Tensor, second: Tensor, alpha: Tensor) -> Likeness:
    """What frames at alphas (B,) are like, of the clean latents (B,C,h,w), or (1,C,h,w), of both ends.

    Of the end that is nearer, and the less the farther it is: both at once would be two pictures over one another.
    Halfway it is neither, and at an end that end itself.
    """
    clean = torch.where(alpha.reshape(-1, 1, 1, 1) < 0.5, first, second)
    return Likeness(clean, (1 - 2 * alpha).abs())


def denoise(
    model: LatentDiffusion,
    pair: Pair,
    latents: Tensor,
    alpha: Tensor,
    times: Sequence[int],
    tick: Callable[[Step], None],
    *,
    solver: Solver,
    like: Likeness | None = None,
    guidance: float | Tensor = 1.0,
    clean: Tensor | None = None,
    during: Callable[[int], AbstractContextManager[None]] = lambda t: nullcontext(),
) -> Tensor:
    """Latents (B,C,h,w) at ``times[0]`` brought to ``times[-1]``, each at its own alpha (B,) between the pair.

    Text is mixed as the pair says, the LoRAs exactly. ``solver`` takes the steps; ``like`` is for it. ``guidance``
    is classifier-free, from the first keyframe's negative, a number or (B,); 1 is none. ``clean`` (B,C,h,w) is what
    latents at ``times[0]`` are without noise, in place of what the denoiser believes. ``during`` wraps every
    prediction; ``tick`` is handed every step.

    Raises:
        MorphError: the network overflowed.
    """
    alpha = alpha.to(model.device, torch.float32)
    conditional, condition = model.conditional(pair.control(alpha)), pair.condition(alpha)
    predict_guided = guided(conditional, condition, pair.first.negative, guidance)

    def predict(latents: Tensor, t: int) -> Prediction:
        with during(t):
            believed = predict_guided(latents, t)
        return believed if clean is None or t != times[0] else believed._replace(clean=clean)

    with updated(model, pair.ends, torch.stack([1 - alpha, alpha], dim=1), guides(guidance)):
        latents = drain(solver.sample(predict, model.schedule, latents, times, like), tick)
    if not latents.isfinite().all():
        raise MorphError("denoising overflowed; try --dtype float32, more steps or a lower lora.learning_rate")
    return latents
