"""Anchors: frames between two keyframes that are made before all others, level by level.

Wang & Golland, arXiv 2307.12560, section 4.1, and the four simpler schemes that they compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morph import random
from morph.blending.interpolation import slerp
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.solvers import solver_of
from pipelines.between.denoising import denoise
from pipelines.between.keyframes import Progress
from pipelines.between.pair import Pair
from pipelines.between.rendered_way import Choice
from pipelines.between.together import made_together
from pipelines.request import settings as config
from pipelines.request.levels import Level, Place, plan_anchors


@dataclass(frozen=True)
class Anchor:
    """A finished anchor: its position, latents (1,C,h,w) and picture (1,3,H,W) in [-1,1].

    ``choice`` tells which candidate it was; None where there was only one.
    """

    alpha: float
    latents: Tensor
    pixels: Tensor
    choice: Choice | None = None


Choose = Callable[[float, Tensor, Tensor, Tensor], Choice]
"""(alpha, candidates (N,3,H,W), both parents (1,3,H,W)) to the candidate that is taken."""


def render_anchors(
    model: LatentDiffusion,
    pair: Pair,
    settings: config.Settings,
    choose: Choose,
    progress: Progress,
    load: Callable[[int], list[Anchor] | None] = lambda level: None,
    save: Callable[[int, Sequence[Anchor]], None] = lambda level, anchors: None,
) -> list[Anchor]:
    """All anchors between two keyframes, in order of alpha.

    ``load`` gives those of a level that were made before, ``save`` keeps those of one that has been made; a
    cascade, whose anchors are finished all together, is one level.
    """
    levels = plan_anchors(settings)
    if not levels:
        return []
    if settings.anchors.scheme == "cascade":
        kept = load(0)
        if kept is None or not _are_at(kept, [place for level in levels for place in level.places]):
            kept = _cascade(model, pair, levels, settings, progress)
            save(0, kept)
        return kept
    if settings.anchors.scheme == "together":
        (level,) = levels
        kept = load(0)
        if kept is None or not _are_at(kept, level.places):
            kept = _together(model, pair, level, settings, progress)
            save(0, kept)
        return kept
    done = {float(i): Anchor(float(i), end.latents, end.pixels) for i, end in enumerate(pair.ends)}
    for number, level in enumerate(levels):
        if (kept := load(number)) and _are_at(kept, level.places):
            done |= {anchor.alpha: anchor for anchor in kept}
            continue
        jobs = [(place, index) for place in level.places for index in range(level.candidates)]
        denoised: list[Tensor] = []
        for start in range(0, len(jobs), settings.batch):
            batch = jobs[start : start + settings.batch]
            parents = [
                torch.cat([_parent_latents(model, pair, done[parent], place.alpha) for place, parent in sides])
                for sides in zip(*[((place, place.left), (place, place.right)) for place, _ in batch], strict=True)
            ]
            weights = torch.tensor([place.weight for place, _ in batch], dtype=torch.float64)
            left, right = _noised(model, parents, batch, level.steps, settings)
            noisy = slerp(left, right, weights)
            alphas = torch.tensor([place.alpha for place, _ in batch])
            denoised.append(_denoise(model, pair, noisy, alphas, level.steps, 0, settings, progress))
        latents = torch.cat(denoised)
        pixels = _decoded(model, latents, settings)
        for i, place in enumerate(level.places):
            rows = slice(i * level.candidates, (i + 1) * level.candidates)
            pictures = pixels[rows], done[place.left].pixels, done[place.right].pixels
            choice = choose(place.alpha, *pictures) if level.candidates > 1 else None
            row = slice(chosen := rows.start + (choice.number if choice else 0), chosen + 1)
            done[place.alpha] = Anchor(place.alpha, latents[row], pixels[row], choice)
        save(number, [done[place.alpha] for place in level.places])
    return [done[alpha] for alpha in sorted(done)[1:-1]]


def _are_at(anchors: Sequence[Anchor], places: Sequence[Place]) -> bool:
    return sorted(anchor.alpha for anchor in anchors) == sorted(place.alpha for place in places)


def _parent_latents(model: LatentDiffusion, pair: Pair, parent: Anchor, alpha: float) -> Tensor:
    """A parent's latents (1,C,h,w) as it stands in the frame at alpha."""
    return pair.latents(model, parent.pixels, parent.latents, parent.alpha, alpha)


def _noised(
    model: LatentDiffusion,
    parents: Sequence[Tensor],
    jobs: Sequence[tuple[Place, int]],
    steps: int,
    settings: config.Settings,
) -> list[Tensor]:
    """Both parents (B,C,h,w) of every job at its noise level, with noise that depends on nothing but the job."""
    if not steps:
        return list(parents)
    schedule = model.schedule
    shape, seed = parents[0].shape[1:], settings.seed
    t = model.times(settings.steps, shape)[-1 - steps]

    def draw(purpose: str) -> Tensor:
        # "flat" has one noise for all frames: neighbours that share neither parent nor noise have no order
        noise_of_its_own = settings.anchors.scheme == "branch"
        keys = [(f"{purpose} {place.alpha}" if noise_of_its_own else purpose, index) for place, index in jobs]
        return torch.stack([random.normal(shape, seed, *key) for key in keys]).to(parents[0])

    left = draw("anchor")
    right = left if settings.anchors.shared_noise else draw("anchor, right parent")
    return [schedule.noise(z, eps, t) for z, eps in zip(parents, (left, right), strict=True)]


def _cascade(
    model: LatentDiffusion, pair: Pair, levels: Sequence[Level], settings: config.Settings, progress: Progress
) -> list[Anchor]:
    """Denoise-interpolate-denoise: new latents are slerped while their parents are still noisy.

    The keyframes stand at every level with the same noise of their own; anchors come down from level to level.
    """
    schedule = model.schedule
    clean = [end.latents for end in pair.ends]
    shape, seed = clean[0].shape, settings.seed
    purposes = ("anchor", "anchor" if settings.anchors.shared_noise else "anchor, right parent")
    noises = [random.normal(shape, seed, purpose).to(clean[0]) for purpose in purposes]
    noisy: dict[float, Tensor] = {}
    for level in levels:
        t = model.times(settings.steps, shape)[-1 - level.steps]
        first, second = (schedule.noise(z, eps, t) for z, eps in zip(clean, noises, strict=True))
        around = noisy | {0.0: first, 1.0: second}
        for place in level.places:
            weight = torch.tensor([place.weight], dtype=torch.float64)
            noisy[place.alpha] = slerp(around[place.left], around[place.right], weight)
        alphas = sorted(noisy)
        for start in range(0, len(alphas), settings.batch):
            batch = alphas[start : start + settings.batch]
            latents = torch.cat([noisy[alpha] for alpha in batch])
            batch_alphas = torch.tensor(batch)
            latents = _denoise(model, pair, latents, batch_alphas, level.steps, level.until, settings, progress)
            noisy |= dict(zip(batch, latents.split(1), strict=True))
    alphas = sorted(noisy)
    pixels = _decoded(model, torch.cat([noisy[alpha] for alpha in alphas]), settings).split(1)
    return [Anchor(alpha, noisy[alpha], image) for alpha, image in zip(alphas, pixels, strict=True)]


def _together(
    model: LatentDiffusion, pair: Pair, level: Level, settings: config.Settings, progress: Progress
) -> list[Anchor]:
    """Anchors that attention couples: whatever the batch, they are made in one."""
    alphas = [place.alpha for place in level.places]
    latents = made_together(model, pair, alphas, level.steps, settings, progress)
    pixels = _decoded(model, latents, settings)
    return [Anchor(*parts) for parts in zip(alphas, latents.split(1), pixels.split(1), strict=True)]


def _decoded(model: LatentDiffusion, latents: Tensor, settings: config.Settings) -> Tensor:
    return torch.cat([model.decode(part) for part in latents.split(settings.batch)])


def _denoise(
    model: LatentDiffusion,
    pair: Pair,
    latents: Tensor,
    alphas: Tensor,
    steps: int,
    until: int,
    settings: config.Settings,
    progress: Progress,
) -> Tensor:
    """Latents (B,C,h,w) with ``steps`` steps left, denoised until ``until`` are left."""
    times = model.times(settings.steps, latents.shape)
    guidance = settings.anchors.guidance
    cost = len(latents) * (1 if guidance == 1 else 2)

    def tick(step: Step) -> None:
        progress("anchors", cost, lambda: pair.preview.image(step.clean[:1]))

    solver = solver_of(settings.inversion, settings.inversion_iterations, settings.seed)
    times = times[-1 - steps : len(times) - until]
    return denoise(model, pair, latents, alphas, times, tick, solver=solver, guidance=guidance)
