"""What frames hear of their ends, and when: the settings' scheme at a sampler's times."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from morph.diffusion import attention
from morph.diffusion.attention import Features, Scheme
from morph.diffusion.exchange import Heard
from morph.diffusion.model import LatentDiffusion
from pipelines.request.settings import Settings


def shared_times(times: Sequence[int], settings: Settings) -> Sequence[int]:
    """Those of a sampler's times, from the noisy end, at which frames use their ends' keys and values."""
    return times[: round(settings.attention * (len(times) - 1))]


@dataclass(frozen=True)
class Hearing:
    """A scheme of a model, the ``times`` at which frames hear their ends, and those at which also themselves.

    guided: whether guidance puts as many samples ahead of the frames, which hear nothing but themselves.
    """

    model: LatentDiffusion
    scheme: Scheme
    times: Sequence[int]
    own_times: Sequence[int]
    guided: bool = False

    @classmethod
    def of(cls, model: LatentDiffusion, settings: Settings, times: Sequence[int], guided: bool = False) -> Self:
        """As the settings say, at a sampler's times."""
        infill = settings.infill
        scheme = Scheme(settings.sharing, infill.layers, infill.text, infill.curve)
        own_times = times[round(infill.own * (len(times) - 1)) :]
        return cls(model, scheme, shared_times(times, settings), own_times, guided)

    def captured(self, features: dict[tuple[int, str], Heard], t: int) -> AbstractContextManager[None]:
        """Keep what a picture hears at a time, where frames will want it; with guidance the one picture's."""
        if t not in self.times:
            return nullcontext()
        return attention.captured(self.model, features, t, self.scheme.sites(self.model.denoiser), int(self.guided))

    def shared(self, first: Features, second: Features, t: int, alpha: Tensor) -> AbstractContextManager[None]:
        """Have frames at alphas (B,) hear, at a time, what their ends did."""
        if t not in self.times:
            return nullcontext()
        negatives = len(alpha) if self.guided else 0
        own = t in self.own_times
        return attention.shared(self.model, first, second, t, alpha, self.scheme, own=own, negatives=negatives)
