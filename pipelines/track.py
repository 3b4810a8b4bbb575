"""The frames rendered so far on one segment, in order, with the perceptual distances between them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morph import pacing
from morph.inbetween import Interpolator
from morph.perception.lpips import PerceptualDistance
from pipelines.settings import Settings
from pipelines.store import Reel

EVEN = 1.3
"""The largest gap over the mean at which pacing is content."""
PASSES = 3
"""How often frames may be placed anew before pacing takes what it has."""
ROUND = 8
"""Most frames of a survey that are placed before the gaps are measured again; a batch must not decide it."""
DIGITS = 9
"""Decimals of a position: it names a file, and thirds of a way do not add up exactly."""
REMEMBERED = 32
"""Frames whose LPIPS features are kept; they are 2 to 7 MB each, and a distance wants those of neighbours."""


@dataclass(frozen=True)
class Placed:
    """Frames of a segment that are shown: positions, both ends among them, and LPIPS from each to the next.

    reel: the name of the folder that holds them. round_trips: dB of the knots that were captured.
    choices: which candidate each anchor was.
    """

    reel: str
    alphas: list[float]
    gaps: list[float]
    round_trips: list[float]
    choices: dict[float, int]


class Track:
    """Renders on demand, keeps every frame in a reel, and knows how far apart neighbours look.

    ``render`` makes frames (B,H,W,3) uint8. A batch that the reel already holds is not rendered again; a part
    of one is, so that a run that was broken off ends with the frames of one that was not.
    """

    def __init__(
        self,
        reel: Reel,
        perception: PerceptualDistance,
        render: Callable[[Sequence[float]], NDArray[np.uint8]],
        batch: int,
    ) -> None:
        self._reel = reel
        self._perception = perception
        self._render = render
        self._batch = batch
        self.alphas: list[float] = []
        self.gaps: list[float] = []
        # one at a time: rounding must not depend on what else is looked at
        self._features = lru_cache(REMEMBERED)(self._look)
        self._distance = cache(self._compare)

    def survey(self, count: int) -> None:
        """Visit until ``count`` positions are known, in rounds, each where the gaps measured so far are largest."""
        if len(self.alphas) == 2:
            self.visit(pacing.uniform(min(count - 2, ROUND, max(3, count // 3)) + 2))
        while (left := count - len(self.alphas)) > 0:
            self.visit(pacing.refine(self.alphas, self.gaps, left, min(ROUND, (left + 1) // 2)))

    def place(self, steps: int, settings: Settings, interpolator: Interpolator | None = None) -> list[float]:
        """Have frames at ``steps + 1`` positions, placed as the settings' pacing and easing say; the positions.

        Even pacing closes the loop: it measures what it has placed and places again where that says so, for
        as long as that helps. With an interpolator only some are rendered, and it fills in between those that
        are close.
        """
        sizes = np.concatenate([[0.0], np.cumsum(pacing.eased(steps, settings.ease))]) * steps
        fixed = list(range(steps + 1))
        if interpolator:
            fixed = (
                [0, steps] if settings.inbetween.frames == "auto" else [*fixed[:: settings.inbetween.stride], steps]
            )
            fixed = sorted(set(fixed))
        shown, best = [0.0], math.inf
        for _ in range(PASSES):
            if settings.pacing == "uniform" or steps < 2:
                placed = pacing.uniform(steps + 1, settings.ease)
            else:
                placed = pacing.even(self.alphas, self.gaps, steps + 1, settings.ease)
            placed = [self._known(alpha) for alpha in placed]
            here = self.visit([placed[i] for i in fixed])
            gaps = np.array(self.distances(here)) / np.square(np.diff(sizes[fixed]))
            uneven = pacing.Evenness.of(gaps.tolist()).max_mean_gap
            if uneven >= best:  # what is left is noise: frames close together differ by little but their rounding
                break
            shown, best = placed, uneven
            if settings.pacing == "uniform" or uneven <= EVEN:
                break
        if interpolator:
            self._fill_in(shown, fixed, sizes, settings.inbetween.threshold, interpolator)
        return shown

    def _fill_in(
        self,
        shown: Sequence[float],
        fixed: list[int],
        sizes: NDArray[np.float64],
        threshold: float,
        interpolator: Interpolator,
    ) -> None:
        """Interpolate what is shown between the rendered frames, after rendering more where they are not close."""
        while True:
            wide = [(a + b) // 2 for a, b in pairwise(fixed) if b > a + 1 and self._apart(shown, a, b) > threshold]
            if not wide:
                break
            self.visit([shown[i] for i in wide])
            fixed = sorted({*fixed, *wide})
        for a, b in pairwise(fixed):
            new = [i for i in range(a + 1, b) if not self._holds(shown[i])]
            if not new:
                continue
            alphas = [shown[i] for i in new]
            if not self._reel.holds(alphas):
                times = [float((sizes[i] - sizes[a]) / (sizes[b] - sizes[a])) for i in new]
                ends = self._reel.frame(shown[a]), self._reel.frame(shown[b])
                self._reel.keep(alphas, np.stack(list(interpolator.between(*ends, times))))
            self._insert(alphas)

    def _apart(self, shown: Sequence[float], a: int, b: int) -> float:
        return self.distances([shown[a], shown[b]])[0]

    def visit(self, alphas: Sequence[float]) -> list[float]:
        """Have frames at these positions, rendered in batches where they are new; the positions, rounded."""
        alphas = [self._known(alpha) for alpha in alphas]
        new = [alpha for alpha in alphas if not self._holds(alpha)]
        for start in range(0, len(new), self._batch):
            batch = new[start : start + self._batch]
            if not self._reel.holds(batch):
                self._reel.keep(batch, self._render(batch))
            self._insert(batch)
        return alphas

    def start(self, alphas: Sequence[float], frames: Callable[[], NDArray[np.uint8]]) -> None:
        """Take frames that are there already, the ends among them."""
        if not self._reel.holds(alphas):
            self._reel.keep(alphas, frames())
        self._insert(alphas)

    def distances(self, alphas: Sequence[float]) -> list[float]:
        """LPIPS of neighbours among the frames at these alphas."""
        places = [bisect_left(self.alphas, alpha) for alpha in alphas]
        return [self.gaps[a] if b == a + 1 else self._gap(a, b) for a, b in pairwise(places)]

    def _known(self, alpha: float) -> float:
        """The position of the frame that stands here already but for rounding, or this one, rounded."""
        close, at = 10.0**-DIGITS, bisect_left(self.alphas, alpha)
        around = self.alphas[max(at - 1, 0) : at + 1]
        return next((known for known in around if abs(known - alpha) <= close), round(alpha, DIGITS))

    def _holds(self, alpha: float) -> bool:
        at = bisect_left(self.alphas, alpha)
        return self.alphas[at : at + 1] == [alpha]

    def _insert(self, alphas: Sequence[float]) -> None:
        for alpha in alphas:
            at = bisect_left(self.alphas, alpha)
            around = self.alphas[max(at - 1, 0) : at + 1]
            self.alphas.insert(at, alpha)
            # a frame between two others takes the place of their gap; one at an end opens a new gap
            first = max(at - 1, 0)
            self.gaps[first:at] = [self._gap(i, i + 1) for i in range(first, first + len(around))]

    def _gap(self, a: int, b: int) -> float:
        return self._distance(self.alphas[a], self.alphas[b])

    def _compare(self, first: float, second: float) -> float:
        return float(self._perception.between(self._features(first), self._features(second)))

    def _look(self, alpha: float) -> Tensor:
        pixels = torch.from_numpy(self._reel.frame(alpha)).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self._perception.features(pixels)
