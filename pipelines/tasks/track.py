"""The frames rendered so far on one segment, in order, with the perceptual distances between them."""

from __future__ import annotations

import collections
import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morph import pacing
from morph.latest import Latest
from morph.motion.flow import Interpolator, distance
from morph.perception.lpips import PerceptualDistance
from morph.scaling import Size, reduced
from pipelines.between.rendered_way import Curve
from pipelines.request.settings import Settings
from pipelines.tasks.store import Reel

EVEN_ENOUGH = 1.3
"""The largest gap over the mean at which pacing is content."""
MAX_PASSES = 3
"""How often positions may be picked before pacing returns the most even."""
RENDERED_PER_SHOWN, RENDERED_MORE = 2.0, 8
"""Frames that may be rendered for each that is shown when positions are picked anew, and so many more: a short clip
whose way jumps needs them."""
SURVEY_BATCH = 8
"""Most positions of a survey before the gaps are measured again; a batch must not decide it."""
DIGITS = 9
"""Decimals of a position: it names a file, and thirds of a way do not add up exactly."""
TRIPLES = 8
"""Neighbours, three by three, that tell how distances add up."""
REMEMBERED = 32
"""Frames whose LPIPS features are kept; they are 2 to 7 MB each, and a distance wants those of neighbours."""


class Track:
    """Renders on demand, keeps every frame in a reel, and knows how far apart neighbours look.

    ``render`` makes frames (H,W,3) uint8 or uint16, one at a time. They are compared at ``size`` (width, height),
    that of the model, whatever theirs: large frames cost no more to look at, and are paced the same. ``seen``
    makes of a position and a frame of that size what is compared, where that is not the frame. ``places`` are the
    positions at which alone there are frames, if not anywhere. A batch that the
    reel already holds is not rendered again; a part of one is, so that a run that was broken off ends with the
    frames of one that was not. Frames that are interpolated go to a reel of their own: they are never taken for
    rendered ones.
    """

    def __init__(
        self,
        reel: Reel,
        perception: PerceptualDistance,
        render: Callable[[Sequence[float]], Iterable[NDArray[Any]]],
        batch: int,
        size: Size,
        seen: Callable[[float, NDArray[Any]], NDArray[Any]] | None = None,
        places: Sequence[float] = (),
    ) -> None:
        self._reel = reel
        self._perception = perception
        self._render = render
        self._batch = batch
        self._size = size
        self._seen = seen
        self._places = places
        self.alphas: list[float] = []
        self.gaps: list[float] = []
        # one at a time: rounding must not depend on what else is looked at
        self._features: Latest[float, Tensor] = Latest(REMEMBERED)
        self._small: dict[float, NDArray[Any]] = {}
        self.interpolated: set[float] = set()
        self._interpolated_reel = reel
        self._distances: dict[tuple[float, float], float] = {}

    def survey(self, count: int) -> None:
        """Render until ``count`` positions are known, in rounds, each where the gaps so far are largest."""
        if len(self.alphas) == 2:
            self.ensure(pacing.uniform(min(count - 2, SURVEY_BATCH, max(3, count // 3)) + 2))
        while (missing := count - len(self.alphas)) > 0:
            batch = min(SURVEY_BATCH, (missing + 1) // 2)
            self.ensure(pacing.refine(self.alphas, self.gaps, missing, batch, self._power()))

    def choose_positions(
        self, steps: int, settings: Settings, surveyed: Curve, rendered: Sequence[int] | None = None
    ) -> Generator[list[float], None, list[float]]:
        """Pick ``steps + 1`` positions as the settings' pacing and easing say, and render their frames.

        Yields the first positions whenever more of them are final, batch by batch, for uniform pacing; returns all.

        Even pacing picks by what was ``surveyed``, on these frames or on drafts of them, measures what it has
        rendered, picks again where that is uneven, and returns the most even. ``rendered`` are the numbers
        of those that are rendered, the first and the last among them; by default all.
        """
        shares = eased_shares(steps, settings)
        numbers = list(range(steps + 1)) if rendered is None else list(rendered)
        if settings.pacing == "uniform" or steps < 2:
            placed = self._placed(pacing.uniform(steps + 1, settings.ease))
            for _ in self.ensuring([placed[number] for number in numbers]):
                yield list(itertools.takewhile(self._holds, placed))
            return placed
        shown, best, curve = [0.0], math.inf, surveyed
        # all passes are judged alike
        relative_steps = np.power(np.diff(shares[numbers]) * steps, surveyed.power)
        for _ in range(MAX_PASSES):
            places = pacing.even(curve.alphas, curve.gaps, steps + 1, settings.ease, self.alphas, curve.power)
            placed = self._placed(places)
            new = sum(not self._holds(placed[number]) for number in numbers)
            if best < math.inf and len(self.alphas) + new > RENDERED_PER_SHOWN * (steps + 1) + RENDERED_MORE:
                break
            alphas = self.ensure([placed[number] for number in numbers])
            evenness = pacing.Evenness.of((np.array(self.distances(alphas)) / relative_steps).tolist())
            if evenness.pdv < best:  # frames close together differ by little but their rounding: it may get worse
                shown, best = placed, evenness.pdv
            if evenness.max_mean_gap <= EVEN_ENOUGH:
                break
            curve = self.measured
        return shown

    def interpolate_missing(
        self, shown: Sequence[float], settings: Settings, interpolator: Interpolator, reel: Reel
    ) -> None:
        """Have the shown frames that are not rendered: interpolated where the rendered ones around are close.

        Where they are not, more are rendered first, by halving. ``reel`` takes what is interpolated.
        """
        shares = eased_shares(len(shown) - 1, settings)
        while True:
            known = [number for number, alpha in enumerate(shown) if self._holds(alpha)]
            spans = [(a, b) for a, b in itertools.pairwise(known) if b > a + 1]
            halfway = [
                (a + b) // 2 for a, b in spans if self._widest(shown[a], shown[b]) > settings.inbetween.threshold
            ]
            if not halfway:
                break
            self.ensure([shown[number] for number in halfway])
        interpolated: list[float] = []
        for a, b in spans:
            around = self._reel.frame(shown[a]), self._reel.frame(shown[b])
            for start in range(a + 1, b, self._batch):
                part = range(start, min(b, start + self._batch))
                alphas = [shown[number] for number in part]
                if not reel.holds(alphas):
                    times = [float((shares[number] - shares[a]) / (shares[b] - shares[a])) for number in part]
                    reel.keep(alphas, interpolator.between(*around, times))
                interpolated += alphas
        self.interpolated = set(interpolated)
        self._interpolated_reel = reel
        self._insert(interpolated)

    def _widest(self, start: float, end: float) -> float:
        """How far apart two frames look, or two rendered ones between them, where that is further."""
        first, last = self.alphas.index(start), self.alphas.index(end)
        before, after = (reduced(self._reel.frame(alpha), self._size) for alpha in (start, end))
        return max(distance(before, after, self._perception), *self.gaps[first:last])

    def ensure(self, alphas: Sequence[float]) -> list[float]:
        """Have frames at these positions, rendered in batches where they are new; the positions, rounded."""
        alphas = [self._known(alpha) for alpha in alphas]
        collections.deque(self.ensuring(alphas), maxlen=0)
        return alphas

    def ensuring(self, alphas: Sequence[float]) -> Iterator[None]:
        """Have frames at rounded positions; yields before the first batch of new ones, and after each."""
        new = [alpha for alpha in dict.fromkeys(alphas) if not self._holds(alpha)]
        yield
        for start in range(0, len(new), self._batch):
            batch = new[start : start + self._batch]
            if not self._reel.holds_batch(batch):
                self._reel.keep(batch, self._keeping_small(batch, self._render(batch)))
            self._insert(batch)
            yield

    def start(self, alphas: Sequence[float], frames: Callable[[], Iterable[NDArray[Any]]]) -> None:
        """Take frames that are there already, the ends among them."""
        if not self._reel.holds(alphas):
            self._reel.keep(alphas, self._keeping_small(alphas, frames()))
        self._insert(alphas)

    def _keeping_small(self, alphas: Sequence[float], frames: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The same frames; what distances look at is taken as they pass, or they would be read again for it."""
        for alpha, frame in zip(alphas, frames, strict=True):
            self._small[alpha] = reduced(frame, self._size)
            yield frame

    @property
    def measured(self) -> Curve:
        """All that is known."""
        return Curve(list(self.alphas), list(self.gaps), self._power())

    def _power(self) -> float:
        """How distances add up; see :func:`morph.pacing.power_of`."""
        middles = range(1, len(self.alphas) - 1)
        stride = max(1, math.ceil(len(middles) / TRIPLES))
        some = middles[(len(middles) - 1) % stride // 2 :: stride]  # as far from either end
        wholes = [self._gap(i - 1, i + 1) for i in some]
        return pacing.power_of([(self.gaps[i - 1], self.gaps[i]) for i in some], wholes)

    def distances(self, alphas: Sequence[float]) -> list[float]:
        """LPIPS of neighbours among the frames at these alphas."""
        indices = [bisect_left(self.alphas, alpha) for alpha in alphas]
        return [self.gaps[a] if b == a + 1 else self._gap(a, b) for a, b in itertools.pairwise(indices)]

    def _placed(self, alphas: Sequence[float]) -> list[float]:
        """Where there are frames, or will be, that stand for these positions."""
        if self._places:
            return pacing.nearest(alphas, self._places)
        return [self._known(alpha) for alpha in alphas]

    def _known(self, alpha: float) -> float:
        """The position of the frame that stands here already but for rounding, or this one, rounded."""
        close, index = 10.0**-DIGITS, bisect_left(self.alphas, alpha)
        around = self.alphas[max(index - 1, 0) : index + 1]
        return next((known for known in around if abs(known - alpha) <= close), round(alpha, DIGITS))

    def _holds(self, alpha: float) -> bool:
        index = bisect_left(self.alphas, alpha)
        return self.alphas[index : index + 1] == [alpha]

    def _insert(self, alphas: Sequence[float]) -> None:
        for alpha in alphas:
            index = bisect_left(self.alphas, alpha)
            around = self.alphas[max(index - 1, 0) : index + 1]
            self.alphas.insert(index, alpha)
            # a frame between two others takes the place of their gap; one at an end opens a new gap
            first = max(index - 1, 0)
            self.gaps[first:index] = [self._gap(i, i + 1) for i in range(first, first + len(around))]

    def _gap(self, a: int, b: int) -> float:
        pair = self.alphas[a], self.alphas[b]
        if pair not in self._distances:
            first, second = (self._features.get(alpha, self._look_at) for alpha in pair)
            self._distances[pair] = float(self._perception.between(first, second))
        return self._distances[pair]

    def _look_at(self, alpha: float) -> Tensor:
        frame = self._small.pop(alpha, None)
        if frame is None:
            reel = self._interpolated_reel if alpha in self.interpolated else self._reel
            frame = reduced(reel.frame(alpha), self._size)
        if self._seen:
            frame = self._seen(alpha, frame)
        pixels = torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None]
        pixels = pixels / (np.iinfo(frame.dtype).max / 2) - 1
        return self._perception.features(pixels)


def eased_shares(steps: int, settings: Settings) -> NDArray[np.float64]:
    """How much of the way each of ``steps + 1`` frames has behind it, as easing means it: 0 to 1."""
    return np.concatenate([[0.0], np.cumsum(pacing.eased(steps, settings.ease))])
