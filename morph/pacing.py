"""Where on the way the frames should stand, so that neighbours look equally far apart.

Plain numbers in, plain numbers out: ``alphas`` ascend, ``gaps[i]`` is the perceptual distance between the
frames at ``alphas[i]`` and ``alphas[i + 1]``. ``power`` tells how distances add up: over twice the way they are
2 ** ``power`` times as large. LPIPS is a squared distance, so that of a fade the roots add up, and power is 2. But
what moves by more than its own details, or is painted anew in every frame, is soon as unlike as it can be in each
of them, and its distances add up as they are, with power 1. So it hangs on the spacing too. See :func:`power_of`.
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
_HALVINGS = 24  # of the powers in question: finer than it matters


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


def power_of(halves: Sequence[tuple[float, float]], wholes: Sequence[float]) -> float:
    """The power, in [1,2], by which distances add up.

    ``halves`` are the distances from frames to the next and on to the one after it, ``wholes`` those from the
    first to the last of these three. Without any, 2.
    """
    parts, totals = np.asarray(halves, dtype=float), np.asarray(wholes, dtype=float)
    low, high = 1.0, 2.0
    for _ in range(_HALVINGS if totals.sum() > EQUAL else 0):
        middle = (low + high) / 2
        shorter = np.power(totals, 1 / middle).sum() < np.power(parts, 1 / middle).sum()
        low, high = (low, middle) if shorter else (middle, high)
    return high


def refine(
    alphas: Sequence[float], gaps: Sequence[float], extra: int, batch: int, power: float = 2.0
) -> list[float]:
    """The next at most ``batch`` positions to render when ``extra`` more frames may be spent in all.

    The frames are shared out over the gaps as measured; this round renders the middle one of those that a
    gap is due, and leaves its neighbours for when the halves have been measured. Inside a gap, positions
    follow a monotone cubic through the arc length measured so far (the inverse of DiffMorpher's
    rescheduling curve, section 4.4, which is piecewise linear). Identical frames everywhere have no arc
    length: the widest steps in alpha are halved instead.
    """
    arc_lengths, position_at = _track(alphas, gaps, power)
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
    power: float = 2.0,
) -> list[float]:
    """``count`` positions at even distances along the track measured so far, its ends included.

    Of the frames that are ``known``, by default all, as many are taken as they are as leave the steps even
    enough; the other positions are new, evenly between these. This is DiffMorpher's rescheduling (section 4.4)
    through a monotone cubic and in lengths that add up. Easing makes the steps uneven on purpose.
    """
    arc_lengths, position_at = _track(alphas, gaps, power)
    step_shares = eased(count - 1, ease)
    steps = step_shares * (np.r_[END_STEP, np.ones(count - 3), END_STEP] if ease == "none" and count > 2 else 1)
    steps *= arc_lengths[-1] / steps.sum()
    targets, shorter_step = np.cumsum(np.r_[0.0, steps]), np.minimum(steps[:-1], steps[1:])
    usable_lengths = np.where([known is None or alpha in known for alpha in alphas], arc_lengths, np.inf)
    nearest = np.abs(usable_lengths - targets[:, None]).argmin(1)
    nearest[0], nearest[-1] = 0, len(alphas) - 1
    offsets = np.r_[0.0, np.abs(usable_lengths[nearest] - targets)[1:-1] / shorter_step, 0.0]
    taken = offsets <= FURTHEST
    while True:
        stops = np.interp(targets, targets[taken], arc_lengths[nearest[taken]])
        relative_gaps = np.power(np.diff(stops) / step_shares, power)
        worst = int(relative_gaps.argmax())
        # of the two frames that are taken around the largest gap the one further from its place is moved
        around = np.flatnonzero(taken[: worst + 1])[-1], worst + 1 + np.flatnonzero(taken[worst + 1 :])[0]
        furthest = max(around, key=lambda index: offsets[index])
        if relative_gaps[worst] <= CLOSE_ENOUGH * relative_gaps.mean() or offsets[furthest] <= NEAREST:
            break
        taken[furthest] = False
    positions = np.where(taken, np.asarray(alphas, dtype=float)[nearest], position_at(stops))
    return [float(alpha) for alpha in positions]


def length(gaps: Sequence[float], power: float = 2.0) -> float:
    """How long a way looks, in roots of LPIPS that add up."""
    return float(np.power(np.asarray(gaps, dtype=float), 1 / power).sum())


def _track(
    alphas: Sequence[float], gaps: Sequence[float], power: float
) -> tuple[NDArray[np.float64], PchipInterpolator]:
    """Arc length (N,) at each frame, and the position at any arc length."""
    from scipy.interpolate import PchipInterpolator  # half a second, which a dry run need not wait for

    gap_lengths = np.power(np.asarray(gaps, dtype=float), 1 / power)
    # identical frames have no length: alpha serves instead
    if np.sum(gaps) <= EQUAL * len(gap_lengths):
        gap_lengths = np.diff(np.asarray(alphas, dtype=float))
    ascending = np.maximum(gap_lengths, 1e-6 * gap_lengths.sum())  # the inverse needs strictly ascending lengths
    arc_lengths = np.concatenate([[0.0], np.cumsum(ascending)])
    return arc_lengths, PchipInterpolator(arc_lengths, alphas)
