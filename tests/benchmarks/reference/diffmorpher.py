"""DiffMorpher as published (Zhang et al., CVPR 2024, arXiv 2312.07409), written anew to be measured against.

With its waste: float32, one frame at a time, LoRAs fitted one after the other, mixed on the CPU and loaded
into new attention processors for every frame, the ends' features kept for all steps, everything rendered
twice for rescheduling, both ends included, and LPIPS pair by pair.

Kinder to it than its code in three things: true DDIM both ways, where the code runs another scheduler than the
one it inverts; v-prediction, which the code takes for epsilon; and torch's fused attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor
from torch.nn import functional as F

from morph import random
from morph.diffusion.lora import Lora
from morph.diffusion.model import LatentDiffusion
from morph.perception.lpips import PerceptualDistance
from pipelines.request.settings import Settings
from tests.benchmarks.meter import Meter
from tests.benchmarks.reference.step import move, noise_of, slerp

Form = Literal["code", "paper"]
"""Where the published code differs from the paper's formulas, which of the two.

"code" mixes a LoRA's two factors apart, interpolates the inputs of attention, and shows LPIPS images in [0,1];
"paper" mixes dW, interpolates keys and values, each projected with its end's own weights, and shows [-1,1].
"""


class Exchange:
    """What self-attention on the way up does with its ``value`` at a step: uses it as it is."""

    step = 0

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return value


class Keep(Exchange):
    """Keeps it, of every step."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], Tensor] = {}

    def __call__(self, name: str, value: Tensor) -> Tensor:
        self.kept[self.step, name] = value
        return value


class Borrow(Exchange):
    """Takes what the ends kept in its place, interpolated, in the first steps."""

    def __init__(self, first: Keep, second: Keep, alpha: float, steps: int) -> None:
        self._first, self._second, self._alpha, self._steps = first.kept, second.kept, alpha, steps

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if self.step >= self._steps:
            return value
        return (1 - self._alpha) * self._first[self.step, name] + self._alpha * self._second[self.step, name]


class Attention:
    """diffusers' processor of one attention, by ``name``, with a LoRA in its four projections."""

    def __init__(self, name: str, lora: Lora, exchange: Exchange, form: Form) -> None:
        self._name, self._lora, self._form = name, lora, form
        self._exchange = exchange if "up_blocks" in name and name.endswith("attn1") else Exchange()

    def _project(self, layer: Any, part: str, x: Tensor) -> Tensor:
        down, up = (factor[f"{self._name}.{part}"] for factor in (self._lora.down, self._lora.up))
        return layer(x) + x @ down.T @ up.T

    def _exchanged(self, part: str, value: Tensor, form: Form) -> Tensor:
        return self._exchange(f"{self._name} {part}", value) if form == self._form else value

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **ignored: Any
    ) -> Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        source = self._exchanged("inputs", source, "code")
        q = self._project(attn.to_q, "to_q", hidden_states)
        k = self._exchanged("keys", self._project(attn.to_k, "to_k", source), "paper")
        v = self._exchanged("values", self._project(attn.to_v, "to_v", source), "paper")
        heads = (x.unflatten(2, (attn.heads, -1)).transpose(1, 2) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return self._project(attn.to_out[0], "to_out.0", mixed)


def load(model: LatentDiffusion, lora: Lora, exchange: Exchange, form: Form) -> None:
    """New processors for every attention of the U-Net."""
    names = list(model.denoiser.network.attn_processors)
    model.denoiser.network.set_attn_processor(
        {name: Attention(name.removesuffix(".processor"), lora, exchange, form) for name in names}
    )


def placed(factors: Mapping[str, Tensor], device: torch.device | str) -> dict[str, Tensor]:
    """One factor of a LoRA, on a device."""
    return {name: factor.detach().to(device) for name, factor in factors.items()}


def fit_lora(model: LatentDiffusion, pixels: Tensor, condition: Tensor, settings: Settings, number: int) -> Lora:
    """A LoRA of one keyframe (1,3,H,W), fitted by itself (section 4.1); it is kept on the CPU."""
    own, generator = settings.lora, random.generator(settings.seed, "published LoRA", number)
    mean, std = model.posterior(pixels)
    down, up = {}, {}
    for name, layer in model.projections.items():
        outputs, inputs = layer.weight.shape
        down[name] = (torch.randn(own.rank, inputs, generator=generator) / own.rank).to(mean.device)
        up[name] = torch.zeros(outputs, own.rank, device=mean.device)
    parameters = [factor.requires_grad_() for factor in (*down.values(), *up.values())]
    optimizer = torch.optim.AdamW(parameters, own.learning_rate, weight_decay=own.weight_decay)
    load(model, Lora(down, up), Exchange(), "code")
    for _ in range(own.steps):
        sampled, eps = torch.randn(2, *mean.shape, generator=generator).to(mean)
        t = int(torch.randint(model.schedule.length, (), generator=generator))
        a = float(model.schedule.alpha_bar[t])
        clean = mean + std * sampled
        noisy = a**0.5 * clean + (1 - a) ** 0.5 * eps
        target = eps if model.schedule.target == "epsilon" else a**0.5 * eps - (1 - a) ** 0.5 * clean
        with torch.enable_grad():
            F.mse_loss(model.denoiser.network(noisy, t, encoder_hidden_states=condition).sample, target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return Lora(placed(down, "cpu"), placed(up, "cpu"))


def mix(first: Lora, second: Lora, alpha: float, form: Form) -> Lora:
    """The LoRA of a frame (section 4.1)."""
    if form == "code":  # not the mix of the updates: their cross terms come in
        return Lora(*({k: (1 - alpha) * a[k] + alpha * b[k] for k in a} for a, b in _factors(first, second)))
    down = {k: torch.cat([first.down[k], second.down[k]]) for k in first.down}
    up = {k: torch.cat([(1 - alpha) * first.up[k], alpha * second.up[k]], dim=1) for k in first.up}
    return Lora(down, up)


def _factors(first: Lora, second: Lora) -> tuple[tuple[Mapping[str, Tensor], Mapping[str, Tensor]], ...]:
    return (first.down, second.down), (first.up, second.up)


@dataclass(frozen=True)
class End:
    """What is learnt of a keyframe: its text (1,L,D), its LoRA on the CPU, its inverted latents (1,C,h,w)."""

    condition: Tensor
    lora: Lora
    noise: Tensor


@torch.no_grad()
def invert(model: LatentDiffusion, pixels: Tensor, condition: Tensor, lora: Lora, settings: Settings) -> End:
    """DDIM inversion of one keyframe (1,3,H,W), without fixed-point iterations."""
    load(model, on(lora, model.device), Exchange(), "code")
    latents = model.encode(pixels)
    for t, after in pairwise(reversed(model.schedule.times(settings.steps))):
        eps = noise_of(model, latents, after, condition)
        latents = move(model, latents, eps, t, after)
    return End(condition, lora, latents)


def on(lora: Lora, device: torch.device) -> Lora:
    """A LoRA on a device."""
    return Lora(placed(lora.down, device), placed(lora.up, device))


def adain(latents: Tensor, first: Tensor, second: Tensor, alpha: float) -> Tensor:
    """Latents (1,C,h,w) with the ends' channel statistics, interpolated (section 4.3)."""
    moments = [torch.std_mean(end, (2, 3), correction=0, keepdim=True) for end in (first, second)]
    std, mean = ((1 - alpha) * a + alpha * b for a, b in zip(*moments, strict=True))
    return F.instance_norm(latents, eps=torch.finfo(latents.dtype).tiny) * std + mean


@torch.no_grad()
def render(
    model: LatentDiffusion,
    first: End,
    second: End,
    alphas: Sequence[float],
    settings: Settings,
    meter: Meter,
    form: Form = "code",
) -> Tensor:
    """Frames (N,3,H,W) in [-1,1] at alphas that begin at 0 and end at 1: the ends first, then what is between."""
    kept = Keep(), Keep()
    shared = round(settings.attention * settings.steps)
    frames: dict[int, Tensor] = {}
    for number in (0, len(alphas) - 1, *range(1, len(alphas) - 1)):
        alpha = alphas[number]
        inside = 0 < number < len(alphas) - 1
        exchange = Borrow(*kept, alpha, shared) if inside else kept[number > 0]
        with meter.stage("mix LoRA"):
            load(model, on(mix(first.lora, second.lora, alpha, form), model.device), exchange, form)
        with meter.stage("render" if inside else "capture ends"):
            latents = slerp(first.noise, second.noise, alpha)
            if settings.adain and inside:
                latents = adain(latents, first.noise, second.noise, alpha)
            condition = (1 - alpha) * first.condition + alpha * second.condition
            for exchange.step, (t, after) in enumerate(pairwise(model.schedule.times(settings.steps))):
                eps = noise_of(model, latents, t, condition)
                latents = move(model, latents, eps, t, after)
        with meter.stage("decode"):
            frames[number] = model.decode(latents).cpu()
    return torch.cat([frames[number] for number in range(len(alphas))])


def rescheduled(frames: Tensor, perception: PerceptualDistance, form: Form) -> list[float]:
    """Alphas at even distances, by piecewise linear inversion, from frames at uniform ones (section 4.4)."""
    shown = (frames + 1) / 2 if form == "code" else frames
    gaps = [float(perception(a[None], b[None])) for a, b in pairwise(shown)]
    length = np.concatenate([[0.0], np.cumsum(gaps)])
    return np.interp(np.linspace(0, length[-1], len(frames)), length, np.linspace(0, 1, len(frames))).tolist()


def diffmorpher(
    model: LatentDiffusion,
    perception: PerceptualDistance,
    pixels: Tensor,
    prompts: Sequence[str],
    settings: Settings,
    meter: Meter,
    form: Form = "code",
) -> tuple[Tensor, list[float]]:
    """A morph between two prepared keyframes (2,3,H,W) in [-1,1]: frames (N,3,H,W) and their alphas."""
    images = pixels.to(model.device).split(1)
    with meter.stage("text"):
        conditions = model.embed(prompts).tokens.split(1)
    try:
        with meter.stage("fit LoRA"):
            loras = [fit_lora(model, images[i], conditions[i], settings, i) for i in range(2)]
        with meter.stage("invert"):
            ends = [invert(model, images[i], conditions[i], loras[i], settings) for i in range(2)]
        alphas = np.linspace(0, 1, settings.frames).tolist()
        frames = render(model, *ends, alphas, settings, meter, form)
        with meter.stage("LPIPS"):
            alphas = rescheduled(frames, perception, form)
        return render(model, *ends, alphas, settings, meter, form), alphas
    finally:
        model.denoiser.network.set_attn_processor(AttnProcessor2_0())


def forwards(settings: Settings) -> int:
    """What it costs in U-Net forwards, by the paper's own account of it; a backward pass counts as two."""
    fits = 3 * settings.lora.steps
    return 2 * fits + 2 * settings.steps + 2 * settings.frames * settings.steps
