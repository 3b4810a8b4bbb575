"""What both published methods do at every step, written as their papers do: sqrt(a) z_0 + sqrt(1-a) eps."""

from __future__ import annotations

import torch
from torch import Tensor

from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import CLEAN

NEAR = 1e-7
"""How close to 1 a cosine may come before slerp is lerp."""


def level(model: LatentDiffusion, t: int) -> float:
    """a_t, the cumulative alpha at a time."""
    return model.schedule.final_alpha_bar if t == CLEAN else float(model.schedule.alpha_bar[t])


def noise_of(model: LatentDiffusion, latents: Tensor, t: int, condition: Tensor) -> Tensor:
    """The noise that the U-Net sees in latents (1,C,h,w) at time t, shown text (1,L,D): one call."""
    raw = model.denoiser.network(latents, t, encoder_hidden_states=condition).sample
    if model.schedule.target == "epsilon":
        return raw
    a = level(model, t)
    return a**0.5 * raw + (1 - a) ** 0.5 * latents


def move(model: LatentDiffusion, latents: Tensor, eps: Tensor, t: int, to: int) -> Tensor:
    """Latents at time t brought to another time along the noise they hold: DDIM with eta 0, either way."""
    a, b = level(model, t), level(model, to)
    return b**0.5 * (latents - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - b) ** 0.5 * eps


def slerp(first: Tensor, second: Tensor, alpha: float) -> Tensor:
    """Spherical interpolation of whole tensors, in float64; lerp where they are nearly parallel."""
    a, b = first.double().cpu(), second.double().cpu()
    cosine = (a * b).sum() / (a.norm() * b.norm())
    if cosine.abs() > 1 - NEAR:
        return ((1 - alpha) * a + alpha * b).to(first)
    angle = torch.arccos(cosine)
    return ((torch.sin((1 - alpha) * angle) * a + torch.sin(alpha * angle) * b) / torch.sin(angle)).to(first)
