"""Factorised diffusion (Geng et al., 2024): what is coarse, or grey, from one text, and the rest from another.

eps = sum_i f_i(eps(x; c_i)) with linear f_i whose sum leaves a picture as it is. At one x that is the same sum of
the clean pictures that are believed, and so it is taken here: these can be decoded, so that the f_i are of pixels,
where brightness and blur are what they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction, Predictor
from morph.editing.frequencies import blurred
from morph.editing.measurement import Grey
from morph.editing.projection import in_pixels

Part = Callable[[Tensor], Tensor]
"""A linear component of pictures (B,3,H,W) or of differences of these; the other one is what it leaves."""


def coarse(sigma: float) -> Part:
    """What is left under a Gaussian blur of so many pixels; hybrid images (Oliva et al., 2006)."""
    return partial(blurred, sigma=sigma)


def grey(pixels: Tensor) -> Tensor:
    """The brightness, (B,3,H,W); what it leaves are the colours."""
    return Grey().spread(Grey().measured(pixels))


def hybrid(first: Predictor, second: Predictor, model: LatentDiffusion, part: Part) -> Predictor:
    """Believe ``part`` of what the first believes, and the rest of what the second does.

    Where both believe the same, it is that, bit for bit. Decodes twice and encodes two pictures a sample.
    """

    def predict(latents: Tensor, t: int) -> Prediction:
        one, other = first(latents, t), second(latents, t)
        alpha, sigma = (float(level) for level in model.schedule.level(t))
        clean = in_pixels(model, other.clean, lambda pixels: pixels + part(model.decode(one.clean) - pixels))
        return Prediction(clean, other.noise - alpha / sigma * (clean - other.clean))

    return predict


def with_part(predict: Predictor, model: LatentDiffusion, part: Part, given: Tensor) -> Predictor:
    """Believe ``part`` of a given picture (B or 1,3,H,W) in [-1,1], and the rest of what is believed.

    A sampler noises it again at each step, as the paper puts a given component back.
    """

    def predict_rest(latents: Tensor, t: int) -> Prediction:
        believed = predict(latents, t)
        clean = in_pixels(model, believed.clean, lambda pixels: pixels + part(given - pixels))
        return Prediction(clean, believed.noise)

    return predict_rest
