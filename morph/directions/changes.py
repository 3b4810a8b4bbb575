"""Plain changes of pictures that a generator can be steered to make.

Jahanian, Chai & Isola, "On the 'Steerability' of Generative Adversarial Networks", 2020, section 3: zoom, shift,
rotation, brightness, and colour. Each gives the changed pictures and where they say anything: what comes in from
outside the frame is not counted in the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Pictures (N,3,H,W) in [-1,1] and amounts (N,) in [-1,1] to changed pictures, and a mask (N,1,H,W) in [0,1]."""

SHIFT, ZOOM, TURN, LIGHT = 0.25, 1.5, 30.0, 0.5
"""What an amount of 1 is: a share of the side, so many times as large, degrees, and half of the range of values."""


def moved(pictures: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (N,3,H,W) seen through affine maps (N,2,3) of [-1,1]^2, and where something was."""
    grid = F.affine_grid(matrices, list(pictures.shape), align_corners=False)
    inside = F.grid_sample(torch.ones_like(pictures[:, :1]), grid, align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False), inside


def _affine(amounts: Tensor, rows: Callable[[Tensor], list[list[Tensor]]]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows(amounts)], 1)


def _zoom(pictures: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
    def rows(amount: Tensor) -> list[list[Tensor]]:
        side, none = ZOOM**-amount, torch.zeros_like(amount)
        return [[side, none, none], [none, side, none]]

    return moved(pictures, _affine(amounts, rows))


def _shift(horizontal: bool) -> Change:
    def change(pictures: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
        def rows(amount: Tensor) -> list[list[Tensor]]:
            one, none, way = torch.ones_like(amount), torch.zeros_like(amount), -2 * SHIFT * amount
            x, y = (way, none) if horizontal else (none, way)
            return [[one, none, x], [none, one, y]]

        return moved(pictures, _affine(amounts, rows))

    return change


def _turn(pictures: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
    def rows(amount: Tensor) -> list[list[Tensor]]:
        angle = torch.deg2rad(TURN * amount)
        cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
        aspect = pictures.shape[2] / pictures.shape[3]
        return [[cos, -sin * aspect, none], [sin / aspect, cos, none]]

    return moved(pictures, _affine(amounts, rows))


def _light(channels: tuple[float, float, float]) -> Change:
    def change(pictures: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
        added = amounts[:, None] * pictures.new_tensor(channels)[None] * 2 * LIGHT
        return (pictures + added[:, :, None, None]).clamp(-1, 1), torch.ones_like(pictures[:, :1])

    return change


CHANGES: Mapping[str, Change] = {
    "zoom": _zoom,
    "shift-x": _shift(True),
    "shift-y": _shift(False),
    "turn": _turn,
    "brightness": _light((1, 1, 1)),
    "warmth": _light((1, 0, -1)),
    "red": _light((1, 0, 0)),
    "green": _light((0, 1, 0)),
    "blue": _light((0, 0, 1)),
}
"""By name; an amount of 1 makes larger, goes right or down, turns against the clock, or adds."""
