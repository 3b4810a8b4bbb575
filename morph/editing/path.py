"""Where an inversion led: the latents of a picture at every time on the way from it to noise."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from torch import Tensor

from morph.diffusion.ddim import Step
from morph.diffusion.prediction import Predictor
from morph.diffusion.schedule import Schedule
from morph.diffusion.solvers import FixedPoint, Solver

Path = Mapping[int, Tensor]
"""Latents (1,C,h,w) of one picture by time: at each that a sampler comes to, from pure noise to ``CLEAN``."""


def inverted(
    predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int], solver: Solver | None = None
) -> Generator[Step, None, dict[int, Tensor]]:
    """The path of latents (1,C,h,w) at ``times[-1]``, which goes up all ``times`` to ``times[0]``.

    Yields where it has come to after each evaluation. Without a solver, by fixed-point iterations.
    """
    path = {times[-1]: latents}
    steps = (solver or FixedPoint()).invert(predict, schedule, latents, times)
    for step in steps:
        path[step.t] = step.latents  # the last of the iterations at a time is the one that stays
        yield step
    return path
