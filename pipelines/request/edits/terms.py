"""The terms of a composition, as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from morph.errors import SettingsError

SYNTAX = "[NOT] TEXT [@PLACE] [:WEIGHT] | ..."
Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in shares of the picture's sides."""
BOXES: dict[str, Box] = {
    "left": (0, 0, 0.5, 1),
    "right": (0.5, 0, 1, 1),
    "top": (0, 0, 1, 0.5),
    "bottom": (0, 0.5, 1, 1),
    "centre": (0.25, 0.25, 0.75, 0.75),
}
REFERENCE = "reference"
"""The place that is white in the reference."""
_TERM = re.compile(
    r"(?P<no>NOT\s+)?(?P<text>[^@]*?)(?:\s*@\s*(?P<place>[^\s:]+))?(?:\s*:\s*(?P<weight>[-+]?[\d.]+))?", re.DOTALL
)
_MOST = 100.0


@dataclass(frozen=True)
class Term:
    """What is told. weight: of the guidance, below 0 away from it. place: a box, ``REFERENCE``, or everywhere."""

    text: str
    weight: float = 1.0
    place: Box | str | None = None


def terms_of(text: str) -> list[Term]:
    """Terms written as ``SYNTAX``, such as ``a lake @bottom | a moon @0.6,0,0.9,0.3 :1.5 | NOT people``.

    NOT turns a weight round, which is 1 unless it is given. A place is left, right, top, bottom, centre, reference,
    or a box: left, top, right and bottom in shares of the picture.

    Raises:
        SettingsError: which term is none, and what is one.
    """
    return [_term(part.strip()) for part in text.split("|")] if text.strip() else []


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text)
    if not found or not found["text"].strip():
        raise SettingsError(f"terms has {text!r}; it must be {SYNTAX}")
    try:
        weight = float(found["weight"] or 1)
    except ValueError:
        raise SettingsError(f"terms has the weight {found['weight']!r}; it must be a number such as 1.5") from None
    if not abs(weight) <= _MOST or (found["no"] and weight < 0):
        wanted = "above 0 after NOT" if found["no"] else f"from -{_MOST:g} to {_MOST:g}"
        raise SettingsError(f"terms has the weight {weight:g}; it must be {wanted}")
    place = None if found["place"] is None else _place(found["place"])
    return Term(found["text"].strip(), -weight if found["no"] else weight, place)


def _place(text: str) -> Box | str:
    if text == REFERENCE:
        return REFERENCE
    if text in BOXES:
        return BOXES[text]
    try:
        left, top, right, bottom = (float(side) for side in text.split(","))
    except ValueError:
        left = top = right = bottom = -1.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        known = ", ".join((*BOXES, REFERENCE))
        raise SettingsError(f"terms has the place {text!r}; it must be {known}, or a box such as 0,0,0.5,1")
    return left, top, right, bottom
