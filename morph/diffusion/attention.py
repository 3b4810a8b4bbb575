"""Keys and values of self-attention: captured from the ends, and shared with the frames between.

DiffMorpher, section 4.2, in the paper's form: each end's keys and values are projected with that end's own
weights; the query stays the frame's own. The published code interpolates the inputs instead and projects them
with mixed weights, which is not the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor

from morph.blending.interpolation import lerp
from morph.diffusion.exchange import Heard
from morph.diffusion.model import LatentDiffusion

Features = Mapping[tuple[int, str], Heard]
"""What attentions of K keyframes heard, by timestep and name."""
Sharing = Literal["interpolated", "joint"]
"""Whether frames see the mean of both ends' keys and values, place by place, or all of both, each for itself."""


def captured(
    model: LatentDiffusion, features: dict[tuple[int, str], Heard], t: int
) -> AbstractContextManager[None]:
    """Keep the keys and values of the prediction made in the ``with`` body, under timestep ``t``.

    Enter it after ``lora.applied``, so that what is kept includes each sample's own update.
    """

    def keep(name: str, own: Callable[[], Heard]) -> Heard:
        features[t, name] = own()
        return features[t, name]

    return model.denoiser.exchanging(keep)


def shared(
    model: LatentDiffusion, first: Features, second: Features, t: int, alpha: Tensor, sharing: Sharing
) -> AbstractContextManager[None]:
    """Predict with what the ends heard at ``t``, one for all frames or one each, for alphas (B,).

    "interpolated" is DiffMorpher's: softmax(q (lerp(k0, k1))) lerp(v0, v1). What stands at one place in the two
    pictures need not be alike, and means of unlike features are grey and soft. "joint" attends to both ends
    at once, sum_e w_e exp(q k_e) v_e / sum_e w_e exp(q k_e) with w = (1-alpha, alpha): each place of a frame
    finds what it resembles in either picture. Both give an end itself at alpha 0 and 1, and between two equal ends.
    """
    mix = {"interpolated": _interpolated, "joint": _joint}[sharing]
    alpha = alpha.to(model.device, torch.float32)
    # all of them now: those of a time at which nothing was captured are missed here, not in the middle of a network
    mixed = {name: mix(first[t, name], second[t, name], alpha) for name in model.denoiser.shared_sites}
    return model.denoiser.exchanging(lambda name, own: mixed[name])


def _interpolated(first: Heard, second: Heard, alpha: Tensor) -> Heard:
    return Heard(lerp(first.keys, second.keys, alpha), lerp(first.values, second.values, alpha))


def _joint(first: Heard, second: Heard, alpha: Tensor) -> Heard:
    log_weights = torch.stack([1 - alpha, alpha], dim=1).log()  # -inf for an end without weight
    bias = log_weights.repeat_interleave(first.keys.shape[2], dim=1)[:, None, None]
    keys, values = (torch.cat(ends, dim=2) for ends in ((first.keys, second.keys), (first.values, second.values)))
    batch_shape = len(alpha), -1, -1, -1
    return Heard(keys.expand(batch_shape), values.expand(batch_shape), bias)
