"""Ways along a denoiser's ODE: each is an inversion, and the sampling that brings what it finds back.

All go by Euler steps of :meth:`Schedule.moved`, of diffusions and flows alike: with x / alpha and sigma / alpha in
place of x and sigma, DDIM is Euler's method too, and the noise is the velocity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from morph import random
from morph.diffusion import ddim
from morph.diffusion.ddim import Step
from morph.diffusion.prediction import Prediction, Predictor
from morph.diffusion.schedule import Schedule

GAMMA, ETA, DRAWN = 0.5, 0.9, 7 / 28
"""RF-Inversion's: how much latents are drawn to the noise, how much to a picture, in which share of the steps."""


class Likeness(NamedTuple):
    """What sampled latents should be like: clean latents (B,C,h,w), and how much, (B,), from 0 to 1."""

    clean: Tensor
    share: Tensor


class Solver(ABC):
    """An inversion, and the sampling that goes with it.

    Both yield where they have come to after each time that they ask the denoiser, and return latents (B,C,h,w).
    ``times`` go from the noisiest down, in either. Without a step they return latents as they are.
    """

    @abstractmethod
    def invert(
        self, predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
    ) -> Generator[Step, None, Tensor]:
        """Find the latents at ``times[0]`` that ``sample`` brings to these (B,C,h,w) at ``times[-1]``."""

    def sample(
        self,
        predict: Predictor,
        schedule: Schedule,
        latents: Tensor,
        times: Sequence[int],
        like: Likeness | None = None,
    ) -> Generator[Step, None, Tensor]:
        """Denoise latents (B,C,h,w) at ``times[0]`` down to ``times[-1]``: by DDIM, unless a solver has its own.

        ``like`` is what solvers that are not exact hold on to.
        """
        return ddim.sample(predict, schedule, latents, times)

    def inverted_at(self, schedule: Schedule, times: Sequence[int]) -> Sequence[int]:
        """The times at which ``invert`` asks the denoiser, from the noisiest down."""
        return times[:-1]

    def sampled_at(self, schedule: Schedule, times: Sequence[int]) -> Sequence[int]:
        """The times at which ``sample`` asks the denoiser, from the noisiest down."""
        return times[:-1]


@dataclass(frozen=True)
class FixedPoint(Solver):
    """Each step of DDIM solved backwards by fixed-point iterations: :func:`ddim.invert`."""

    iterations: int = 3

    def invert(
        self, predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
    ) -> Generator[Step, None, Tensor]:
        """See :class:`Solver`; ``iterations`` evaluations a step."""
        return ddim.invert(predict, schedule, latents, times, self.iterations)


@dataclass(frozen=True)
class UniInv(Solver):
    """Uni-Inv (Jiao et al., "UniEdit-Flow", 2025, algorithm 1).

    DDIM's step backwards, by what the denoiser says of where the last step's velocity leads to: one evaluation a
    step, and one before the first.
    """

    def invert(
        self, predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
    ) -> Generator[Step, None, Tensor]:
        """See :class:`Solver`."""
        return _foreseen(predict, schedule, latents, tuple(reversed(times)), lambda s, t: t)

    def inverted_at(self, schedule: Schedule, times: Sequence[int]) -> Sequence[int]:
        """See :class:`Solver`."""
        return tuple(dict.fromkeys((*times[:-1], *(max(t, 0) for t in times[1:][-1:]))))


@dataclass(frozen=True)
class FireFlow(Solver):
    """FireFlow (Deng et al., 2024, equations 9 to 11): the midpoint method, second order, in both directions.

    The velocity by which a midpoint is reached is that of the last step's: one evaluation a step, and one before
    the first.
    """

    def invert(
        self, predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
    ) -> Generator[Step, None, Tensor]:
        """See :class:`Solver`."""
        return _foreseen(predict, schedule, latents, tuple(reversed(times)), schedule.halfway)

    def sample(
        self,
        predict: Predictor,
        schedule: Schedule,
        latents: Tensor,
        times: Sequence[int],
        like: Likeness | None = None,
    ) -> Generator[Step, None, Tensor]:
        """See :class:`Solver`; the same steps downwards."""
        return _foreseen(predict, schedule, latents, times, schedule.halfway)

    def inverted_at(self, schedule: Schedule, times: Sequence[int]) -> Sequence[int]:
        """See :class:`Solver`."""
        middles = (schedule.halfway(s, t) for s, t in pairwise(times))
        return tuple(dict.fromkeys((*middles, *(max(t, 0) for t in times[1:][-1:]))))

    def sampled_at(self, schedule: Schedule, times: Sequence[int]) -> Sequence[int]:
        """See :class:`Solver`."""
        return *times[:-1][:1], *(schedule.halfway(s, t) for s, t in pairwise(times))


@dataclass(frozen=True)
class RfInversion(Solver):
    """RF-Inversion (Rout et al., 2024, equations 8 and 15): robust, and not exact.

    Going up, latents are drawn to one noise, the same for all that are inverted with a seed, so that they end in
    what a denoiser knows, near one another; coming down, for the first steps, to what they should be like. A
    velocity towards something is here that something as part of a prediction, which is the same for a flow, and
    serves diffusions.
    """

    seed: int = 0

    @torch.no_grad()
    def invert(
        self, predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int]
    ) -> Generator[Step, None, Tensor]:
        """See :class:`Solver`; one evaluation a step, where it begins."""
        noise = random.normal(latents.shape[1:], self.seed, "rf-inversion").to(latents)
        for s, t in pairwise(reversed(times)):
            alpha, sigma = (float(level) for level in schedule.level(s))
            towards = Prediction((latents - sigma * noise) / alpha, noise)
            believed = _mixed(predict(latents, max(s, 0)), towards, GAMMA)
            latents, clean = schedule.moved(latents, s, t, believed)
            yield Step(t, latents, clean)
        return latents

    def sample(
        self,
        predict: Predictor,
        schedule: Schedule,
        latents: Tensor,
        times: Sequence[int],
        like: Likeness | None = None,
    ) -> Generator[Step, None, Tensor]:
        """See :class:`Solver`; plain DDIM where nothing is said of what they should be like."""
        if like is None:
            return ddim.sample(predict, schedule, latents, times)
        clean, share = like.clean, ETA * like.share.reshape(-1, 1, 1, 1).to(latents)
        drawn_at = times[: round(DRAWN * (len(times) - 1))]

        def drawn(latents: Tensor, t: int) -> Prediction:
            believed = predict(latents, t)
            if t not in drawn_at:
                return believed
            alpha, sigma = (float(level) for level in schedule.level(t))
            return _mixed(believed, Prediction(clean, (latents - alpha * clean) / sigma), share)

        return ddim.sample(drawn, schedule, latents, times)

    def inverted_at(self, schedule: Schedule, times: Sequence[int]) -> Sequence[int]:
        """See :class:`Solver`."""
        return tuple(max(t, 0) for t in times[1:])


def solver_of(
    name: Literal["fixed-point", "uni-inv", "fireflow", "rf-inversion"], iterations: int, seed: int
) -> Solver:
    """The solver of a name; ``iterations`` are fixed-point's, ``seed`` is of rf-inversion's noise."""
    solvers: dict[str, Callable[[], Solver]] = {
        "fixed-point": lambda: FixedPoint(iterations),
        "uni-inv": UniInv,
        "fireflow": FireFlow,
        "rf-inversion": lambda: RfInversion(seed),
    }
    return solvers[name]()


@torch.no_grad()
def _foreseen(
    predict: Predictor,
    schedule: Schedule,
    latents: Tensor,
    times: Sequence[int],
    place: Callable[[int, int], int],
) -> Generator[Step, None, Tensor]:
    """Steps along times in either direction, each by the velocity at a ``place`` of it.

    Where the latents are there is foreseen by the velocity of the step before, or at first by their own.
    """
    if len(times) < 2:
        return latents
    believed = predict(latents, max(times[0], 0))  # a denoiser knows no time without noise
    yield Step(times[0], latents, believed.clean)
    for s, t in pairwise(times):
        asked = place(s, t)
        foreseen, _ = schedule.moved(latents, s, asked, believed)
        believed = predict(foreseen, asked)
        latents, clean = schedule.moved(latents, s, t, believed)
        yield Step(t, latents, clean)
    return latents


def _mixed(believed: Prediction, towards: Prediction, share: float | Tensor) -> Prediction:
    """A prediction moved by a share (1, or (B,1,1,1)) to another one of the same latents."""
    clean, noise = (one + share * (other - one) for one, other in zip(believed, towards, strict=True))
    return Prediction(clean, noise)
