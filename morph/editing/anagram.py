"""Visual anagrams (Geng et al., 2024): a picture that is one thing as it is, and another seen in another way.

eps = mean_i v_i^-1 eps(v_i x; c_i), with views v_i that take standard noise to standard noise. The
paper has pixels; of latents a view is what it is of the picture only as far as the autoencoder turns with it:
:func:`mismatch` measures it. Views that change values, such as the negative, mean nothing in latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morph import random
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction, Predictor


@dataclass(frozen=True)
class View:
    """Another way to see values (B,C,h,w), and the way back; both move cells and change none."""

    see: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


AS_IS = View(lambda values: values, lambda values: values)
UPSIDE_DOWN = View(lambda values: values.flip(-2), lambda values: values.flip(-2))
MIRRORED = View(lambda values: values.flip(-1), lambda values: values.flip(-1))


def turned(quarters: int) -> View:
    """Turned by quarters, anticlockwise; an odd number swaps the sides."""
    return View(
        lambda values: values.rot90(quarters, (-2, -1)),
        lambda values: values.rot90(-quarters, (-2, -1)),
    )


def shuffled(tiles: int, seed: int) -> View:
    """Cut into ``tiles`` times ``tiles`` and put together in another order, that of a seed.

    Raises:
        ValueError: where values are seen whose sides are no multiples of ``tiles``.
    """
    order = torch.randperm(tiles * tiles, generator=random.generator(seed, "anagram"))
    return View(
        lambda values: _reordered(values, tiles, order), lambda values: _reordered(values, tiles, order.argsort())
    )


def _reordered(values: Tensor, tiles: int, order: Tensor) -> Tensor:
    height, width = values.shape[-2:]
    if height % tiles or width % tiles:
        raise ValueError(f"{width}x{height} cannot be cut into {tiles}x{tiles} tiles")
    cut = values.unflatten(-1, (tiles, -1)).unflatten(-3, (tiles, -1))  # (B,C,tiles,h,tiles,w)
    rows = cut.transpose(-3, -2).flatten(-4, -3)[..., order.to(values.device), :, :]
    return rows.unflatten(-3, (tiles, tiles)).transpose(-3, -2).flatten(-2, -1).flatten(-3, -2)


def anagram(predictors: Sequence[Predictor], views: Sequence[View]) -> Predictor:
    """Believe the mean of what each predictor believes of its own view.

    Raises:
        ValueError: not as many predictors as views.
    """
    if len(predictors) != len(views):
        raise ValueError(f"{len(predictors)} predictors and {len(views)} views: give one for each")

    def predict(latents: Tensor, t: int) -> Prediction:
        seen = [one(view.see(latents), t) for one, view in zip(predictors, views, strict=True)]
        back = [[view.back(part) for part in each] for each, view in zip(seen, views, strict=True)]
        return Prediction(*(torch.stack(parts).mean(0) for parts in zip(*back, strict=True)))

    return predict


@torch.no_grad()
def mismatch(model: LatentDiffusion, latents: Tensor, view: View) -> float:
    """How far latents (B,C,h,w) that are seen so decode to another picture than that which is seen so.

    Root mean square, as a share of the picture's deviation: 0 where the autoencoder turns with the view.
    """
    pixels = model.decode(latents)
    wanted = view.see(pixels)
    return float((model.decode(view.see(latents)) - wanted).square().mean().sqrt() / wanted.std().clamp_min(1e-6))
