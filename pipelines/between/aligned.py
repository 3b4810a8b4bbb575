"""In-fill of two knots that are brought into register: alphas in, frames out, in one batch.

Both knots are warped to where things stand in the frame, and inverted from there part of the way to noise: what
has to be painted is then what the two do not have in common, and no longer where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from morph.blending.interpolation import adain, slerp
from morph.diffusion import ddim
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.exchange import Heard
from morph.diffusion.guidance import guides, passes
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction
from morph.diffusion.solvers import solver_of
from morph.errors import MorphError
from morph.scaling import size_of
from morph.steps import drain
from pipelines.between.denoising import denoise, like_the_nearer
from pipelines.between.hearing import Hearing
from pipelines.between.keyframes import FittedKeyframe, Progress, updated
from pipelines.between.pair import Pair
from pipelines.between.register import Register
from pipelines.request.settings import Settings
from pipelines.request.ways import aligned_inversion_forwards, aligned_times, sampling_forwards


class AlignedInfill:
    """Frames between two knots that ``register`` brings together."""

    def __init__(
        self,
        model: LatentDiffusion,
        first: FittedKeyframe,
        second: FittedKeyframe,
        settings: Settings,
        register: Register,
        guide: Condition | None = None,
    ) -> None:
        self._model = model
        self._settings = settings
        self._pair = Pair.of(first, second, settings, register.span, register.warp, guide)
        self._register = register
        self._times = aligned_times(model.times(settings.steps, first.latents.shape), settings)
        self._solver = solver_of(settings.inversion, settings.align.inversion_iterations, settings.seed)
        self._asked = (*self._solver.sampled_at(model.schedule, self._times), self._times[-1])

    @property
    def forwards(self) -> int:
        """What a frame costs: both knots inverted, and about a prediction at each step."""
        steps = len(self._times) - 1
        inverting = aligned_inversion_forwards(self._settings, steps)
        return inverting + sampling_forwards(self._settings, steps) * self._settings.infill.passes

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,h,w) in [-1,1] at alphas inside (0,1), as the model makes them."""
        model, settings, count = self._model, self._settings, len(alphas)
        alpha = torch.tensor(alphas, dtype=torch.float64).to(model.device, torch.float32)
        clean = model.encode(self._warped(alphas))
        features: dict[tuple[int, str], Heard] = {}
        first, second = self._inverted(clean, alpha, features, progress).chunk(2)
        latents = self._mixed_noise(first, second, alphas)
        first_features, second_features = (
            {place: Heard(*(part.chunk(2)[side] for part in both[:2])) for place, both in features.items()}
            for side in (0, 1)
        )
        guidance = settings.infill.guidance_at(self._pair.place(alpha))
        hearing = Hearing.of(model, settings, self._asked, guided=guides(guidance))

        def during(t: int) -> AbstractContextManager[None]:
            return hearing.shared(first_features, second_features, t, alpha)

        def tick(step: Step) -> None:
            progress("render", count * passes(guidance), lambda: self._pair.preview.image(step.clean[:1]))

        like = like_the_nearer(clean[:count], clean[count:], alpha)
        latents = denoise(
            model,
            self._pair,
            latents,
            alpha,
            self._times,
            tick,
            solver=self._solver,
            like=like,
            guidance=guidance,
            during=during,
        )
        return model.decode(latents)

    def _mixed_noise(self, first: Tensor, second: Tensor, alphas: Sequence[float]) -> Tensor:
        """Latents (B,C,h,w) that frames at alphas start from: those of both warped knots, mixed place by place."""
        each = [self._register.shares(alpha, size_of(first)) for alpha in alphas]
        latents = slerp(first, second, torch.cat(each).to(first.device))
        if not self._settings.adain:
            return latents
        # one by one, as a frame does not depend on its batch
        means = torch.stack([shares.double().mean() for shares in each])
        return adain(latents, first, second, means.to(first.device, torch.float32))

    def _warped(self, alphas: Sequence[float]) -> Tensor:
        """The first knot as it stands in each frame, then the second one, (2B,3,h,w)."""
        first, second = (end.pixels for end in self._pair.ends)
        moved = [self._register.moved(alpha, (first, second)) for alpha in alphas]
        return torch.cat([picture.clamp(-1, 1) for side in zip(*moved, strict=True) for picture in side])

    def _inverted(
        self, clean: Tensor, alpha: Tensor, features: dict[tuple[int, str], Heard], progress: Progress
    ) -> Tensor:
        """Latents (2B,C,h,w) of the warped knots, each with its own text and LoRA, where frames start from.

        Their keys and values go to ``features``.
        """
        model, settings, count = self._model, self._settings, len(alpha)
        ends = self._pair.ends
        condition = Condition.cat([knot.condition.expand(count) for knot in ends])
        control = self._pair.control(torch.cat([alpha, alpha]))
        leaps = settings.align.inversion == "leap"
        # a sampler may ask at times at which an inversion does not, and a leap is asked about its noisy end alone
        asked = self._times[:1] if leaps else self._solver.inverted_at(model.schedule, self._times)
        hearing = Hearing.of(model, settings, self._asked)
        nearest = {t: min(asked, key=lambda one: abs(one - t)) for t in hearing.times}
        hearing = replace(hearing, times=tuple(nearest.values()))

        def predict(latents: Tensor, t: int) -> Prediction:
            with hearing.captured(features, t):
                return model.predict(latents, t, condition, control=control)

        with updated(model, ends, torch.eye(2, device=model.device).repeat_interleave(count, 0)):
            if leaps:
                steps = ddim.leap(predict, model.schedule, clean, self._times)
            else:
                steps = self._solver.invert(predict, model.schedule, clean, self._times)
            noise = drain(steps, lambda step: progress("invert", len(clean)))
        names = {name for _, name in features}
        features |= {(t, name): features[near, name] for t, near in nearest.items() for name in names}
        if not noise.isfinite().all():
            raise MorphError(
                "the inversion overflowed; try --dtype float32, more steps or a lower lora.learning_rate"
            )
        return noise
