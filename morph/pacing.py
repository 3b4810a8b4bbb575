"""Where on the way the frames should stand, so that neighbours look equally far apart.

Plain numbers in, plain numbers out: ``alphas`` ascend, ``gaps[i]`` is the perceptual distance between the
frames at ``alphas[i]`` and ``alphas[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

END_STEP = 0.9
"""The steps next to a keyframe in units of the others: what pops there shows most."""
NEAREST, FURTHEST = 0.1, 0.4
"""How far from its place, in steps, a frame is always and may at most be taken as it is."""
CLOSE_ENOUGH = 1.2
"""The largest gap over the mean that frames taken as they are may make."""
EQUAL = 1e-9
"""LPIPS up to which two frames count as the same: rounding alone gives more than nothing."""


@dataclass(frozen=True, kw_only=True)
class Evenness:
    """How evenly a track's frames are spaced.

    ppl: perceptual path length, the sum of the gaps; 0 below two frames. pdv: perceptual distance variance,
    the population variance of the gaps, in LPIPS squared. mean_gap: LPIPS. max_mean_gap: the largest gap
    over the mean; 1 is even, also when every gap is 0 or there is none.
    """

    ppl: float
    pdv: float
    mean_gap: float
    max_mean_gap: float

    @classmethod
    def of(cls, gaps: Sequence[float]) -> Evenness:
        """Measure the gaps between neighbours."""
        sizes = np.asarray(gaps, dtype=float)
        mean = float(sizes.mean()) if len(sizes) else 0.0
        return cls(
            ppl=float(sizes.sum()),
            pdv=float(sizes.var()) if len(sizes) else 0.0,
            mean_gap=mean,
            max_mean_gap=float(sizes.max()) / mean if mean > EQUAL else 1.0,
        )


def eased(steps: int, ease: str = "none") -> NDArray[np.float64]:
    """The sizes of ``steps`` steps, which add up to 1, for motion that starts ("in") or stops ("out") slowly."""
    u = np.linspace(0, 1, steps + 1)
    return np.diff({"none": u, "in": u**2, "out": 1 - (1 - u) ** 2, "in-out": u * u * (3 - 2 * u)}[ease])


def uniform(count: int, ease: str = "none") -> list[float]:
    """``count`` positions in [0,1], evenly spaced but for easing; a single frame stands at the first end."""
    return [0.0, *np.cumsum(eased(count - 1, ease))[:-1].tolist(), 1.0] if count > 1 else [0.0] * count


def nearest(alphas: Sequence[float], places: Sequence[float]) -> list[float]:
    """For each of the ascending ``alphas`` the nearest of three or more ascending ``places``.

    The first alpha gets the first place and the last the last; no other gets these, and none one that another has,
    where there are as many places as alphas.
    """
    order, last = np.arange(len(alphas)), len(places) - 1
    numbers = np.abs(np.asarray(places) - np.asarray(alphas)[:, None]).argmin(1)
    numbers[0], numbers[1:-1], numbers[-1] = 0, numbers[1:-1].clip(1, last - 1), last
    if len(alphas) <= len(places):
        numbers = np.minimum(np.maximum.accumulate(numbers - order) + order, last - order[::-1])
    return [places[number] for number in numbers]


def shares(lengths: Sequence[float], extra: int) -> list[int]:
    """How many of ``extra`` new frames each length gets, so that the largest remaining part is smallest.

    The greedy choice is optimal here: every frame goes into the gap whose parts are now the largest. At
    equal parts the outermost gap comes first, since a pop next to a keyframe shows most.
    """
    parts = [1] * len(lengths)
    middle = (len(lengths) - 1) / 2
    largest = [(-length, -abs(index - middle), -index) for index, length in enumerate(lengths)]
    heapify(largest)
    for _ in range(extra):
        index = -largest[0][2]
        parts[index] += 1
        heapreplace(largest, (-lengths[index] / parts[index], *largest[0][1:]))
    return [part - 1 for part in parts]


def refine(alphas: Sequence[float], gaps: Sequence[float], extra: int, batch: int) -> list[float]:
    """The next at most ``batch`` positions to render when ``extra`` more frames may be spent in all.

    The frames are shared out over the gaps as measured; this round renders the middle one of those that a
    gap is due, and leaves its neighbours for when the halves have been measured. Inside a gap, positions
    follow a monotone cubic through the arc length measured so far (the inverse of DiffMorpher's
    rescheduling curve, section 4.4, which is piecewise linear). Identical frames everywhere have no arc
    length: the widest steps in alpha are halved instead.
    """
    arc_lengths, position_at = _track(alphas, gaps)
    gap_lengths = np.diff(arc_lengths)
    frames_due = shares(gap_lengths.tolist(), extra)
    growing = [gap for gap, count in enumerate(frames_due) if count]
    positions = []
    for gap in sorted(sorted(growing, key=lambda gap: gap_lengths[gap], reverse=True)[:batch]):
        share = (frames_due[gap] + 1) // 2 / (frames_due[gap] + 1)
        low, high = alphas[gap], alphas[gap + 1]
        position = float(position_at(arc_lengths[gap] + share * gap_lengths[gap]))
        margin = (high - low) / 16  # a badly curved estimate must not put two frames on top of each other
        positions.append(min(max(position, low + margin), high - margin))
    return positions


def even(
    alphas: Sequence[float],
    gaps: Sequence[float],
    count: int,
    ease: str = "none",
    known: Collection[float] | None = None,
) -> list[float]:
    """``count`` positions at even distances along the track measured so far, its ends included.

    Of the frames that are ``known``, by default all, as many are taken as they are as leave the steps even
    enough; the other positions are new. This is DiffMorpher's rescheduling (section 4.4) through a monotone cubic
    and in root distances. Easing makes the steps uneven on purpose.
    """
    arc_lengths, position_at = _track(alphas, gaps)
    step_shares = eased(count - 1, ease)
    steps = step_shares * (np.r_[END_STEP, np.ones(count - 3), END_STEP] if ease == "none" and count > 2 else 1)
    steps *= arc_lengths[-1] / steps.sum()
    targets, shorter_step = np.cumsum(steps)[:-1], np.minimum(steps[:-1], steps[1:])
    usable_lengths = np.where([known is None or alpha in known for alpha in alphas], arc_lengths, np.inf)
    nearest = np.abs(usable_lengths - targets[:, None]).argmin(1)
    offsets = np.abs(usable_lengths[nearest] - targets) / shorter_step
    taken = offsets <= FURTHEST
    while True:
        stops = np.concatenate([[0.0], np.where(taken, arc_lengths[nearest], targets), arc_lengths[-1:]])
        relative_gaps = np.square(np.diff(stops) / step_shares)
        worst = int(relative_gaps.argmax())
        # of the two frames around the largest gap the one further from its place is moved
        movable = [
            index
            for index in (worst - 1, worst)
            if 0 <= index < len(offsets) and taken[index] and offsets[index] > NEAREST
        ]
        if relative_gaps[worst] <= CLOSE_ENOUGH * relative_gaps.mean() or not movable:
            break
        taken[max(movable, key=lambda index: offsets[index])] = False
    inner_positions = np.where(taken, np.asarray(alphas, dtype=float)[nearest], position_at(targets))
    return [float(alphas[0]), *inner_positions.tolist(), float(alphas[-1])]


def length(gaps: Sequence[float]) -> float:
    """How long a way looks, in root LPIPS, which adds up where LPIPS does not."""
    return float(np.sqrt(np.asarray(gaps, dtype=float)).sum())


def _track(alphas: Sequence[float], gaps: Sequence[float]) -> tuple[NDArray[np.float64], PchipInterpolator]:
    """Arc length (N,) at each frame, and the position at any arc length.

    LPIPS is a squared distance of features, so halving a small step quarters it; its root adds up.
    """
    from scipy.interpolate import PchipInterpolator  # half a second, which a dry run need not wait for

    gap_lengths = np.sqrt(np.asarray(gaps, dtype=float))
    # identical frames have no length: alpha serves instead
    if np.square(gap_lengths).sum() <= EQUAL * len(gap_lengths):
        gap_lengths = np.diff(np.asarray(alphas, dtype=float))
    ascending = np.maximum(gap_lengths, 1e-6 * gap_lengths.sum())  # the inverse needs strictly ascending lengths
    arc_lengths = np.concatenate([[0.0], np.cumsum(ascending)])
    return arc_lengths, PchipInterpolator(arc_lengths, alphas)
