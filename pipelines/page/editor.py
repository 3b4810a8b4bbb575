"""Two pictures on which a person marks places that are the same: what the browser is told, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from morph.errors import InputError
from pipelines.page.draft import Draft, Pair, Shot, pairs_from

Address = Callable[[Shot], str]
"""Where the browser finds what it shows of a picture."""
SCRIPT = Path(__file__).with_name("editor.js")


def editor_value(draft: Draft, number: int, address: Address) -> dict[str, Any] | None:
    """What the editor shows of the way of a number, counted from 0; None where there is no such way.

    Places are in pixels of the upright pictures, whatever is shown of them.
    """
    if not 0 <= number < len(draft.ways):
        return None
    ends = draft.ways[number]
    pictures = [
        {"url": address(shot), "width": shot.size[0], "height": shot.size[1], "name": shot.file} for shot in ends
    ]
    return {"pictures": pictures, "pairs": [list(pair) for pair in draft.pairs(*ends)]}


def placed(draft: Draft, number: int, content: Any) -> Draft:
    """A draft with the places that the browser says are the same on the way of a number.

    Raises:
        InputError: there is no such way, or these are no pairs of points on its pictures.
    """
    if not 0 <= number < len(draft.ways):
        raise InputError("there are no two pictures to mark: bring them first")
    first, second = draft.ways[number]
    pairs = pairs_from(content)
    for xa, ya, xb, yb in pairs:
        for x, y, shot in ((xa, ya, first), (xb, yb, second)):
            if not (-0.5 <= x <= shot.size[0] - 0.5 and -0.5 <= y <= shot.size[1] - 0.5):
                raise InputError(f"({x:g}, {y:g}) is outside {shot.file}: put the point on the picture")
    return draft.with_pairs(first, second, [_inside(pair, first, second) for pair in pairs])


def _inside(pair: Pair, first: Shot, second: Shot) -> Pair:
    """The pair, at 0 or more: files of points know no places left of the first pixel's centre."""
    xa, ya, xb, yb = (max(0.0, place) for place in pair)
    sides = (first.size[0] - 1, first.size[1] - 1, second.size[0] - 1, second.size[1] - 1)
    xa, ya, xb, yb = (min(place, float(side)) for place, side in zip((xa, ya, xb, yb), sides, strict=True))
    return xa, ya, xb, yb
