"""How far apart neighbouring frames look, before pacing and after it, as plots and a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from morph import pacing
from morph.pacing import Evenness
from pipelines.job.result import Paced, Result
from pipelines.report.markup import Markup, element
from pipelines.report.plot import Line, plot

UNIFORM, SHOWN = "uniform alphas", "frames shown"


def plots(result: Result) -> list[Markup]:
    """Two plots and a table; nothing where fewer than two steps are shown.

    Distances add up as each curve says that they do. Those of uniform alphas, which were not rendered, are read off
    the curve that was measured.
    """
    shown = [gap for segment in result.segments for gap in segment.shown.gaps]
    if len(shown) < 2:
        return []
    settings = result.recipe["settings"]
    eases = [_ease(result, number) for number in range(len(result.segments))]
    steps = _uniform_steps(result)
    paced = settings["pacing"] != "uniform"
    power = float(np.mean([segment.measured.power for segment in result.segments]))  # one, to lay them end to end
    lines = [("after", SHOWN, shown, _way(np.linspace(0, 1, len(shown) + 1), shown, power))]
    if paced:
        uniform = [gap for way in zip(result.segments, steps, eases, strict=True) for gap in _uniform(*way)]
        lines.insert(0, ("before", UNIFORM, uniform, _measured(result.segments, steps, eases, power)))
    evenness = [(name, Evenness.of(gaps)) for _, name, gaps, _ in lines]
    summary = "; ".join(
        f"{name}: the largest gap is {even.max_mean_gap:.2f} times the mean" for name, even in evenness
    )
    way = plot(
        "way",
        "How far the picture has changed, over the clip",
        f"A straight line is an even morph. {summary}.",
        ("frames gone by, %", "change gone by, %"),
        [Line(name, kind, points) for kind, name, _, points in lines],
    )
    gaps = plot(
        "gaps",
        "The distance from each frame to the next",
        f"A level line is an even morph. {summary}.",
        ("step", "gap, LPIPS"),
        [Line(name, kind, [(i, gap) for i, gap in enumerate(line_gaps, 1)]) for kind, name, line_gaps, _ in lines],
        integers=True,
    )
    figures = [
        element(
            "figure",
            way,
            element("figcaption", "The way gone by, in lengths that add up. Straight is even."),
        ),
        element("figure", gaps, element("figcaption", "Gaps between neighbours, in LPIPS. Level is even.")),
    ]
    return [element("div", *figures, class_="plots"), _table(evenness), _note(result, eases, paced)]


def _table(evenness: Sequence[tuple[str, Evenness]]) -> Markup:
    heads = ("", "mean gap", "largest / mean", "PDV", "PPL")
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            element("td", f"{even.mean_gap:.4f}"),
            element("td", f"{even.max_mean_gap:.2f}"),
            element("td", f"{even.pdv:.1e}"),
            element("td", f"{even.ppl:.3f}"),
        )
        for name, even in evenness
    ]
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
    return element("div", element("table", head, element("tbody", *rows)), class_="wide")


def _note(result: Result, eases: Sequence[str], paced: bool) -> Markup:
    measured = sum(len(segment.measured.alphas) for segment in result.segments) - len(result.segments) + 1
    note = (
        f"Uniform alphas are estimated from the {measured} positions that were measured."
        if paced
        else "Pacing is uniform: frames stand at even alphas, however far apart they look."
    )
    if any(ease != "none" for ease in eases) or _timed(result):
        note += " Easing and times make gaps uneven on purpose; the figures on top leave that out."
    if any((a.reel, a.at) == (b.reel, b.at) for a, b in pairwise(result.frames)):
        note += " Frames that stand still are left out."
    if result.recipe["settings"]["repeat"] == "ping-pong":
        note += " The way back is the same."
    return element("p", note, class_="soft")


def _ease(result: Result, number: int) -> str:
    settings = result.recipe["settings"] | result.recipe["keyframes"][number].get("settings", {})
    return settings["ease"]


def _timed(result: Result) -> bool:
    return "at" in result.recipe["keyframes"][0]


def _uniform_steps(result: Result) -> list[int]:
    """The steps of each segment if distances had no say in them."""
    steps = [len(segment.shown.gaps) for segment in result.segments]
    extra = sum(steps) - len(steps)
    if _timed(result) or extra < 0:
        return steps
    return [1 + share for share in pacing.shares([1.0] * len(steps), extra)]


def _uniform(segment: Paced, steps: int, ease: str) -> list[float]:
    """The gaps between frames at uniform alphas, read off the curve."""
    curve = segment.measured
    at = np.interp(pacing.uniform(steps + 1, ease), curve.alphas, _lengths(curve.gaps, curve.power))
    return np.power(np.diff(at), curve.power).tolist()


def _measured(
    segments: Sequence[Paced], steps: Sequence[int], eases: Sequence[str], power: float
) -> list[tuple[float, float]]:
    """The measured curve, each segment as wide as its uniform steps."""
    times: list[float] = [0.0]
    ends = np.cumsum([0, *steps]) / sum(steps)
    for segment, (start, end), count, ease in zip(segments, pairwise(ends), steps, eases, strict=True):
        inside = np.interp(segment.measured.alphas, pacing.uniform(count + 1, ease), np.linspace(0, 1, count + 1))
        times += (start + inside[1:] * (end - start)).tolist()
    return _way(np.array(times), [gap for segment in segments for gap in segment.measured.gaps], power)


def _way(times: NDArray[np.float64], gaps: Sequence[float], power: float) -> list[tuple[float, float]]:
    """Points of the way gone by at these times, both in percent; a clip that stands still has none to go."""
    lengths = _lengths(gaps, power)
    shares = lengths / lengths[-1] if lengths[-1] else lengths
    return list(zip((100 * times).tolist(), (100 * shares).tolist(), strict=True))


def _lengths(gaps: Sequence[float], power: float) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(np.power(gaps, 1 / power))])
