"""Wang & Golland's morph as published (arXiv 2307.12560), written anew to be measured against.

With its waste: float32, two calls for guidance, one candidate at a time, the winner decoded twice. Without its
faults: CLIP is shown what it was trained on, and frames are denoised from where they were noised to. Poses,
which need a ControlNet, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from morph import random
from morph.diffusion.model import LatentDiffusion
from morph.perception.clip import CLIP
from pipelines.request.levels import Level, plan_anchors
from pipelines.request.settings import Settings
from tests.benchmarks.meter import Meter
from tests.benchmarks.reference.step import level, move, noise_of, slerp


def guided(
    model: LatentDiffusion, latents: Tensor, t: int, condition: Tensor, negative: Tensor, guidance: float
) -> Tensor:
    """The noise in latents (1,C,h,w) under classifier-free guidance: two calls."""
    away = noise_of(model, latents, t, negative)
    return away + guidance * (noise_of(model, latents, t, condition) - away)


def invert_text(
    model: LatentDiffusion, pixels: Sequence[Tensor], prompts: Sequence[str], settings: Settings
) -> tuple[list[Tensor], Tensor]:
    """An embedding (1,L,D) for each picture (1,3,H,W), and one negative for both (section 4.2)."""
    own, count = settings.textual_inversion, model.schedule.length
    conditions = [condition.clone() for condition in model.embed(prompts).tokens.split(1)]
    negative = model.embed([settings.negative]).tokens
    parameters = [embedding.requires_grad_() for embedding in (*conditions, negative)]
    optimizer = torch.optim.Adam(parameters, own.learning_rate)
    size = list(pixels[0].shape[2:])
    augment = v2.Compose([v2.ColorJitter(0.1, 0.2, 0.2, 0.1), v2.RandomResizedCrop(size, scale=(0.7, 1.0))])
    generator = random.generator(settings.seed, "published textual inversion")
    for _ in range(own.steps):
        for image, condition in zip(pixels, conditions, strict=True):
            latents = model.encode(augment((image + 1) / 2) * 2 - 1)
            eps = torch.randn(latents.shape, generator=generator).to(latents)
            t = int(torch.randint(count // 3, 2 * count // 3, (), generator=generator))
            a = level(model, t)
            noisy = a**0.5 * latents + (1 - a) ** 0.5 * eps
            with torch.enable_grad():
                F.mse_loss(guided(model, noisy, t, condition, negative, own.guidance), eps).backward()
        optimizer.step()
        optimizer.zero_grad()
    return [condition.detach() for condition in conditions], negative.detach()


@torch.no_grad()
def candidate(
    model: LatentDiffusion,
    parents: tuple[Tensor, Tensor],
    steps: int,
    texts: tuple[Tensor, Tensor],
    settings: Settings,
    key: tuple[str, int],
) -> Tensor:
    """One latent (1,C,h,w) between its parents: both noised alike, interpolated, denoised (section 4.1)."""
    times = model.schedule.times(settings.steps)[-1 - steps :]
    a = level(model, times[0])
    eps = random.normal(parents[0].shape[1:], settings.seed, *key)[None].to(parents[0])
    left, right = (a**0.5 * parent + (1 - a) ** 0.5 * eps for parent in parents)
    latents = slerp(left, right, 0.5)
    for t, after in pairwise(times):
        latents = move(model, latents, guided(model, latents, t, *texts, settings.anchors.guidance), t, after)
    return latents


def wang2023(
    model: LatentDiffusion,
    clip: CLIP,
    pixels: Tensor,
    prompts: Sequence[str],
    settings: Settings,
    meter: Meter,
) -> tuple[Tensor, list[float]]:
    """A morph between two prepared keyframes (2,3,H,W) in [-1,1]: frames (N,3,H,W) and their alphas."""
    images = pixels.to(model.device).split(1)
    with meter.stage("textual inversion"):
        conditions, negative = invert_text(model, images, prompts, settings)
    with meter.stage("encode"):
        done = {float(i): model.encode(image) for i, image in enumerate(images)}
    for each in plan_anchors(settings):
        for place in each.places:
            texts = (slerp(conditions[0], conditions[1], place.alpha), negative)
            parents = (done[place.left], done[place.right])
            done[place.alpha] = best(model, clip, place.alpha, parents, each, texts, settings, meter)
    alphas = sorted(done)
    with meter.stage("decode"):
        return torch.cat([model.decode(done[alpha]).cpu() for alpha in alphas]), alphas


def best(
    model: LatentDiffusion,
    clip: CLIP,
    alpha: float,
    parents: tuple[Tensor, Tensor],
    each: Level,
    texts: tuple[Tensor, Tensor],
    settings: Settings,
    meter: Meter,
) -> Tensor:
    """The candidate for a place that CLIP likes best (section 4.4)."""
    found: list[tuple[float, Tensor]] = []
    for index in range(each.candidates):
        with meter.stage("anchors"):
            latents = candidate(model, parents, each.steps, texts, settings, (f"anchor {alpha}", index))
        with meter.stage("decode"):
            picture = model.decode(latents)
        with meter.stage("CLIP"):
            score = clip.score(picture, settings.ranking.positive, settings.ranking.negative)
        found.append((float(score), latents))
    return max(found, key=lambda one: one[0])[1]


def forwards(settings: Settings) -> int:
    """What it costs in U-Net forwards; guidance counts as a second forward, a backward pass as two."""
    made = sum(len(level.places) * level.candidates * level.steps for level in plan_anchors(settings))
    return 2 * 2 * 3 * settings.textual_inversion.steps + 2 * made
