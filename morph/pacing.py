"""Where on the way the frames should stand, so that neighbours look equally far apart.

Plain numbers in, plain numbers out: ``alphas`` ascend, ``gaps[i]`` is the perceptual distance between the
frames at ``alphas[i]`` and ``alphas[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

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


def uniform(count: int) -> list[float]:
    """``count`` evenly spaced positions in [0,1]; a single frame stands at the first end."""
    return np.linspace(0, 1, count).tolist() if count > 1 else [0.0] * count


def shares(gaps: Sequence[float], extra: int) -> list[int]:
    """How many of ``extra`` new frames each gap gets, so that the largest remaining part is smallest.

    The greedy choice is optimal here: every frame goes into the gap whose parts are now the largest. At
    equal parts the outermost gap comes first, since a pop next to a keyframe shows most.
    """
    parts = np.ones(len(gaps), dtype=int)
    sizes = np.asarray(gaps, dtype=float)
    outermost = np.abs(np.arange(len(gaps)) - (len(gaps) - 1) / 2)
    for _ in range(extra):
        current = sizes / parts
        parts[np.lexsort((outermost, current))[-1]] += 1
    return (parts - 1).tolist()


def refine(alphas: Sequence[float], gaps: Sequence[float], extra: int, batch: int) -> list[float]:
    """The next at most ``batch`` positions to render when ``extra`` more frames may be spent in all.

    The frames are shared out over the gaps as measured; this round renders the middle one of those that a
    gap is due, and leaves its neighbours for when the halves have been measured. Inside a gap, positions
    follow a monotone cubic through the arc length measured so far (the inverse of DiffMorpher's
    rescheduling curve, section 4.4, which is piecewise linear). Identical frames everywhere have no arc
    length: the widest steps in alpha are halved instead.
    """
    sizes = np.asarray(gaps, dtype=float)
    if sizes.sum() <= EQUAL * len(sizes):
        sizes = np.diff(np.asarray(alphas, dtype=float))
    due = shares(sizes.tolist(), extra)
    rising = np.maximum(sizes, 1e-6 * sizes.sum())  # the inverse needs strictly ascending lengths
    length = np.concatenate([[0.0], np.cumsum(rising)])
    position = PchipInterpolator(length, alphas)
    chosen = sorted((gap for gap, n in enumerate(due) if n), key=lambda gap: sizes[gap], reverse=True)[:batch]
    new = []
    for gap in sorted(chosen):
        share = (due[gap] + 1) // 2 / (due[gap] + 1)
        low, high = alphas[gap], alphas[gap + 1]
        at = float(position(length[gap] + share * rising[gap]))
        margin = (high - low) / 16  # a badly curved estimate must not put two frames on top of each other
        new.append(min(max(at, low + margin), high - margin))
    return new
