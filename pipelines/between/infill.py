"""In-fill between two neighbouring knots, keyframes or anchors: alphas in, frames out, in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property

import torch
from torch import Tensor

from morph import random
from morph.blending.interpolation import adain, slerp
from morph.blending.movement import Movement
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import guides, passes
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.solvers import solver_of
from pipelines.between.denoising import denoise, like_the_nearer
from pipelines.between.hearing import Hearing
from pipelines.between.keyframes import CapturedKeyframe, Progress
from pipelines.between.pair import Pair
from pipelines.request.settings import Settings
from pipelines.request.ways import more_predictions, sampling_forwards

CLIP, MORE = 2.0, 1.2
"""Where NoiseDiffusion clips noise, and how much it shows of both images together."""


class Infill:
    """Frames between two knots (DiffMorpher, section 4), each stage a switch of the settings.

    Frames are denoised at the times at which the two were captured. ``span`` is where the two stand between the
    user's own keyframes.
    """

    def __init__(
        self,
        model: LatentDiffusion,
        first: CapturedKeyframe,
        second: CapturedKeyframe,
        settings: Settings,
        span: tuple[float, float] = (0.0, 1.0),
        guide: Condition | None = None,
    ) -> None:
        self.first = first
        self.second = second
        self.settings = settings
        self._model = model
        self._pair = Pair.of(first.keyframe, second.keyframe, settings, span, guide=guide)

    @property
    def forwards(self) -> int:
        """What a frame costs: about a prediction at each step, and where it is moved another at the first."""
        steps = len(self.first.times) - 1
        predictions = sampling_forwards(self.settings, steps) + more_predictions(self.settings)
        return predictions * self.settings.infill.passes

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,h,w) in [-1,1] at alphas inside (0,1), denoised together, as the model makes them."""
        model, first, second, settings = self._model, self.first, self.second, self.settings
        alpha = torch.tensor(alphas, dtype=torch.float64).to(model.device, torch.float32)
        guidance = settings.infill.guidance_at(self._pair.place(alpha))
        solver = solver_of(settings.inversion, settings.inversion_iterations, settings.seed)
        asked = (*solver.sampled_at(model.schedule, first.times), first.times[-1])
        hearing = Hearing.of(model, settings, asked, guided=guides(guidance))
        like = like_the_nearer(first.keyframe.latents, second.keyframe.latents, alpha)
        cost = len(alphas) * passes(guidance)

        def during(t: int) -> AbstractContextManager[None]:
            return hearing.shared(first.features, second.features, t, alpha)

        def tick(step: Step) -> None:
            progress("render", cost, lambda: self._pair.preview.image(step.clean[:1]))

        latents, times, clean = self._mixed_noise(alpha), first.times, None
        if self.settings.infill.mix == "moved":
            # the step to where it stands: what is there is known, and under it is put the noise that is seen
            times, clean = (times[0], *times), self._movement.moved(first.believed, second.believed, alpha)
        latents = denoise(
            *(model, self._pair, latents, alpha, times, tick),
            solver=solver,
            like=like,
            guidance=guidance,
            clean=clean,
            during=during,
        )
        return model.decode(latents)

    def _mixed_noise(self, alpha: Tensor) -> Tensor:
        """Latents (B,C,h,w) that frames at alphas (B,) start from: those of both knots, mixed, and fresh noise."""
        first, second = self.first.noise, self.second.noise
        match self.settings.infill.mix:
            case "slerp":
                latents = slerp(first, second, alpha)
            case "clipped":
                latents = self._clipped(alpha)
            case "moved":
                latents = self._movement.selected(first, second, alpha)
        if self.settings.noise:
            latents = self._with_fresh_noise(latents, alpha)
        return adain(latents, first, second, alpha) if self.settings.adain else latents

    @cached_property
    def _movement(self) -> Movement:
        """How the two move into one another."""
        first, second = self.first.seen, self.second.seen
        assert first is not None
        assert second is not None
        height, width = self.first.noise.shape[2:]
        return Movement.of(first, second, (height, width))

    def _clipped(self, alpha: Tensor) -> Tensor:
        """The mix of NoiseDiffusion (Zheng et al., arXiv 2403.08840, algorithm 1) with its code's numbers.

        With noisy latents x_A, x_B, images z_A, z_B, a = cos(pi alpha / 2), b = sin(pi alpha / 2) and sqrt(abar)
        what is left of an image: clip(a clip(x_A) + b clip(x_B) + sqrt(abar) ((m - a) z_A + (n - b) z_B)), where m
        and n are as a to b and add up to ``MORE``, and clip is to +-``CLIP``.
        """
        (first, clean_first), (second, clean_second) = (
            (end.noise.clamp(-CLIP, CLIP), end.keyframe.latents) for end in (self.first, self.second)
        )
        shape = (-1, 1, 1, 1)
        a, b = ((alpha * torch.pi / 2).cos().reshape(shape), (alpha * torch.pi / 2).sin().reshape(shape))
        level = float(self._model.schedule.level(self.first.times[0])[0])
        more, images = MORE / (a + b), (clean_first, clean_second)
        added = sum((more * w - w) * level * image for w, image in zip((a, b), images, strict=True))
        return (a * first + b * second + added).clamp(-CLIP, CLIP)

    def _with_fresh_noise(self, latents: Tensor, alpha: Tensor) -> Tensor:
        """Mix in noise, the same for all frames, none at the ends and most halfway.

        Inverted latents are less like noise than the model expects, and between two of them both pictures show;
        it paints better from what is (as Zheng et al. found, "NoiseDiffusion", arXiv 2403.08840).
        """
        fresh = random.normal(latents.shape[1:], self.settings.seed, "in-fill").to(latents)
        share = (self.settings.noise * (torch.pi * alpha).sin()).reshape(-1, 1, 1, 1)
        return (1 - share.square()).sqrt() * latents + share * fresh
