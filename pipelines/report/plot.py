"""Line plots as inline SVG: described for those who cannot see them, coloured by the page that they stand in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.report.markup import Markup, element, joined

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 68, 16, 34, 44
"""Margins, in the same units: for the labels, and for the names of the lines on top."""
DOTTED_TO = 60
"""Points up to which each has a dot of its own."""


Place = Callable[[float, float], tuple[float, float]]
"""Where a point stands on the drawing."""


@dataclass(frozen=True)
class Line:
    """A line of a plot; ``kind`` is its class, by which the page styles it."""

    name: str
    kind: str
    points: list[tuple[float, float]]


def plot(
    key: str, title: str, description: str, labels: tuple[str, str], lines: Sequence[Line], integers: bool = False
) -> Markup:
    """Lines over axes that start at 0; ``labels`` name x and y, and ``integers`` says that x counts something.

    ``key`` is unique on the page.

    Raises:
        ValueError: no points, or none that is right of 0.
    """
    points = [point for line in lines for point in line.points]
    x_top = max(x for x, _ in points)
    x_ticks = [tick for tick in ticks(x_top, integers=integers) if tick <= x_top]
    y_ticks = ticks(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = x / x_top, y / y_ticks[-1]
        right, down = LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
        return round(right, 1), round(down, 1)

    parts = [
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-description"),
        *_axes(x_ticks, y_ticks, labels, place),
        *(_line(line, place) for line in lines),
        *_names(lines),
    ]
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{key}-title {key}-description",
        class_="plot",
    )


def ticks(top: float, least: int = 4, integers: bool = False) -> list[float]:
    """Round numbers from 0 to at least ``top``, in ``least`` to twice as many steps; fewer if ``integers``."""
    if not top > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(top / least))
    step = next(power * share for share in (5, 2.5, 2, 1) if top / (power * share) >= least * 0.99)
    if integers and step % 1:
        step = math.ceil(step)
    return [round(number * step, 12) for number in range(math.ceil(round(top / step, 6)) + 1)]


def _axes(
    x_ticks: Sequence[float], y_ticks: Sequence[float], labels: tuple[str, str], place: Place
) -> list[Markup]:
    parts = []
    for tick in y_ticks:
        x, y = place(0, tick)
        parts.append(element("line", x1=x, y1=y, x2=WIDTH - RIGHT, y2=y, class_="grid"))
        parts.append(element("text", f"{tick:g}", x=x - 6, y=y + 4, text_anchor="end"))
    for tick in x_ticks:
        x, y = place(tick, 0)
        parts.append(element("line", x1=x, y1=y, x2=x, y2=y + 4, class_="grid"))
        parts.append(element("text", f"{tick:g}", x=x, y=y + 17, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(element("text", labels[0], x=middle, y=HEIGHT - 8, text_anchor="middle"))
    middle_height = (TOP + HEIGHT - BOTTOM) / 2
    rotation = f"rotate(-90 14 {middle_height})"
    parts.append(element("text", labels[1], x=14, y=middle_height, text_anchor="middle", transform=rotation))
    return parts


def _line(line: Line, place: Place) -> Markup:
    places = [place(x, y) for x, y in line.points]
    path = element("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in places), class_=line.kind)
    dots = places if len(places) <= DOTTED_TO else []
    return joined(path, *(element("circle", cx=x, cy=y, r=2.2, class_=line.kind) for x, y in dots))


def _names(lines: Sequence[Line]) -> list[Markup]:
    """The lines' names in a row on top, each behind a piece of its line."""
    parts, width = [], (WIDTH - LEFT - RIGHT) / len(lines)
    for number, line in enumerate(lines):
        x = LEFT + number * width
        parts.append(element("line", x1=x, y1=14, x2=x + 26, y2=14, class_=line.kind))
        parts.append(element("text", line.name, x=x + 32, y=18))
    return parts
