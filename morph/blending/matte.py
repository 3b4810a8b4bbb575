"""Mattes: how transparent a picture is, from one keyframe's to the next one's, and colour without its ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Levels = TypeVar("Levels", np.uint8, np.uint16)
Maps = Callable[[float], tuple[Floats, Floats]]
"""Where the frame at a position in [0,1] samples the first picture and the second: (H,W,2), x and y in pixels."""

BLEED = 8
"""How far colour goes on under what is wholly transparent, in pixels: filters and 8x8 transforms reach so far."""

_ENOUGH = np.float32(0.5)  # of what a coarser pixel covers: then it counts in full, or edges would be seams
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_SAMPLES = 256  # along the shorter side, to measure an area
_HALVINGS = 24  # of the range of levels: finer than float32 can tell


class Matte:
    """The matte between two keyframes' mattes.

    A cross-fade would show two half-transparent shapes. Here the outlines, where a matte is half opaque, are
    signed distance fields that are interpolated (Raya & Udupa, 1990, "Shape-based interpolation of
    multidimensional objects"; Payne & Toga, 1992, "Distance field manipulation of surface models"), with two
    additions. The fields are brought to one centre first, which moves in a straight line: otherwise two small
    shapes apart would both vanish on the way. And the level at which the field is cut is the one that gives the
    shape its area, whose square root goes evenly from the first's to the second's: so shapes without a common
    place, as a ring and a disc, do not vanish either, and a shape shrinks to nothing, or grows over the whole
    frame, where the other matte has no outline.

    An edge is as soft as the mattes' own edges are. What that leaves out at either end, as hair and glass, moves
    along with its shape and is faded: out from the first, in to the second.

    Where it is known how every part of the picture moves, the fields are brought together by that instead of by
    their centres, and so is what they leave out.
    """

    def __init__(self, first: NDArray[np.uint8], second: NDArray[np.uint8], maps: Maps | None = None) -> None:
        """Study two mattes, uint8 (H,W), 255 where they are opaque; ``maps`` tells how the pictures move.

        Raises:
            ValueError: mattes that are no mattes or differ in size.
        """
        for matte in (first, second):
            if matte.dtype != np.uint8 or matte.ndim != 2 or matte.shape != first.shape or not matte.size:
                raise ValueError(
                    f"a matte is uint8 of the other's size, {first.shape}, not {matte.dtype} {matte.shape}"
                )
        self._maps = maps
        a, b = _outline(first), _outline(second)
        # Where nothing, or everything, is inside, the other's outline shrinks or grows to that.
        self._from = (0 if a or not b else 1, 1 if b or not a else 0)
        self._ends = (
            a or replace(b or _nowhere(first), area=float(first.min() > 127)),
            b or replace(a or _nowhere(second), area=float(second.min() > 127)),
        )
        self._missed: tuple[Floats, Floats] = (
            _floats(first) - self._shape(0),
            _floats(second) - self._shape(1),
        )

    def at(self, t: float) -> Floats:
        """The matte, float32 (H,W) in [0,1], at ``t`` from 0, the first, to 1, the second.

        At 0 and 1 it is the keyframe's, bit for bit once it is rounded to 8 or 16 bits.

        Raises:
            ValueError: another ``t``.
        """
        if not 0 <= t <= 1:
            raise ValueError(f"a matte is wanted at {t}, but the keyframes stand at 0 and 1")
        t = float(t)  # a float64 of numpy would make float64 of all that it meets
        missed, missed_other = self._gathered(*self._missed, t, "constant", (0, 1))
        return np.clip(self._shape(t) + (1 - t) * missed + t * missed_other, 0, 1)

    def _shape(self, t: float) -> Floats:
        """The outline's own matte."""
        first, second = self._ends
        one, other = self._gathered(first.field, second.field, t, "edge", self._from)
        field = np.float32(1 - t) * one + np.float32(t) * other
        softness = (1 - t) * first.softness + t * second.softness
        area = ((1 - t) * first.area**0.5 + t * second.area**0.5) ** 2
        return _edge(field - _level(field, softness, area), softness)

    def _gathered(
        self, one: Floats, other: Floats, t: float, beyond: Literal["edge", "constant"], whose: tuple[int, int]
    ) -> tuple[Floats, Floats]:
        """What belongs to either end, moved to where the shape is; ``whose`` are the pictures that they are of."""
        if self._maps:
            if t in (0, 1):  # the one stands where it is, the other does not count
                return one, other
            maps = self._maps(t)
            return _sampled(one, maps[whose[0]], beyond), _sampled(other, maps[whose[1]], beyond)
        (x, y), (to_x, to_y) = (end.centre for end in self._ends)
        way_x, way_y = to_x - x, to_y - y
        return (
            _shifted(one, t * way_x, t * way_y, beyond),
            _shifted(other, (t - 1) * way_x, (t - 1) * way_y, beyond),
        )


def extended(colour: Floats, matte: Floats, level: float = 1 / 255) -> Floats:
    """Colour (H,W,3) on black, that is premultiplied, and its matte (H,W), as straight colour all over the frame.

    All are float32 in [0,1]. Where the matte is opaque the colour stays as it is. Under what is transparent it goes
    on smoothly, further away as the mean of more: of a pyramid of pictures each is laid over the next coarser one,
    enlarged (push and pull, as of Gortler et al., 1996, "The Lumigraph"). A frame without any colour is black.

    The fainter the matte, the less the colour's levels, of size ``level``, tell of what it was before it was laid
    on black. Among the colours that would have become this level it is the one nearest to that continuation. So
    laid on black again and rounded it is ``colour``, wherever the matte is not below it.
    """
    pyramid: list[Floats] = [np.dstack([colour, matte])]
    while max(pyramid[-1].shape[:2]) > 1:
        coarser = np.asarray(cv2.pyrDown(pyramid[-1], borderType=cv2.BORDER_REPLICATE), np.float32)
        coarser /= np.maximum(coarser[..., 3:], _ENOUGH)
        pyramid.append(coarser)
    light, share = np.split(pyramid.pop(), [3], axis=2)
    wide: Floats = np.divide(light, share, out=np.zeros_like(light), where=share > 0)
    for finer in reversed(pyramid):
        height, width = finer.shape[:2]
        wide = np.asarray(cv2.pyrUp(wide, dstsize=(width, height)), np.float32)
        wide *= 1 - finer[..., 3:]
        wide += finer[..., :3]
    partly = (matte > 0) & (matte < 1)
    light, share = colour[partly], matte[partly][:, None]
    unsure = np.float32(0.49 * level) * (1 - share)  # less than half: what is laid is rounded once more
    wide[partly] = np.clip(wide[partly], (light - unsure) / share, (light + unsure) / share)
    return np.clip(wide, 0, 1, out=wide)


def on_black(colour: NDArray[Levels], matte: NDArray[np.floating[Any]]) -> NDArray[Levels]:
    """Straight colour (H,W,3) laid on black by its matte (H,W) in [0,1]."""
    levels = _levels(colour, matte) / np.float32(np.iinfo(colour.dtype).max)
    return np.rint(colour * levels[..., None]).astype(colour.dtype)


def cut_out(colour: NDArray[Levels], matte: NDArray[np.floating[Any]]) -> NDArray[Levels]:
    """Straight colour (H,W,3) and its matte (H,W) in [0,1] as RGBA (H,W,4) with straight alpha.

    Laid on black it is :func:`on_black`'s to the bit. What is wholly transparent keeps its colour for ``BLEED``
    pixels and is black further away. No one sees it; but whoever scales, filters or compresses straight colour
    mixes it into the edges, where black would draw a dark line.
    """
    levels = _levels(colour, matte)
    near = cv2.dilate((levels > 0).view(np.uint8), np.ones((2 * BLEED + 1, 2 * BLEED + 1), np.uint8))
    return np.dstack([cv2.copyTo(colour, near), levels.astype(colour.dtype)])


def _levels(colour: NDArray[Levels], matte: NDArray[np.floating[Any]]) -> Floats:
    """A matte in the levels of a colour."""
    return np.rint(matte * np.float32(np.iinfo(colour.dtype).max)).astype(np.float32)


@dataclass(frozen=True)
class _Outline:
    """Where a matte is half opaque.

    field: the signed distance to it in pixels, positive inside. centre: of the inside, x and y.
    softness: the pixels across the edge. area: the share of the frame that its matte covers.
    """

    field: Floats
    centre: tuple[float, float]
    softness: float
    area: float


def _outline(matte: NDArray[np.uint8]) -> _Outline | None:
    """The outline of a matte; None where it has none."""
    level = _floats(matte) - np.float32(0.5)
    inside = (level > 0).view(np.uint8)
    if inside.min() == inside.max():
        return None
    # Beside the outline the matte itself tells the distance, by how steep it is on its steeper side.
    beside = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, _CROSS) > 0
    slope = np.hypot(_steepest(level, (3, 1)), _steepest(level, (1, 3)))
    own = np.divide(level, slope, out=np.ones_like(level), where=beside)
    # Elsewhere it is the distance to the nearest such pixel and its own. Of two that face each other across the
    # outline the nearer one serves, half a pixel from it at most.
    away = (np.abs(own) > 0.5).view(np.uint8)
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    _, nearest = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    owns = np.zeros(nearest.max() + 1, np.float32)
    owns[nearest[away == 0]] = own[away == 0]
    field = np.where(beside, own, owns[nearest] + np.where(inside, distance, -distance)).astype(np.float32)
    moments = cv2.moments(inside, binaryImage=True)
    centre = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    softness = max(1.0, 1 / float(np.median(slope[beside])))
    return _Outline(field, centre, softness, _area(field, softness))


def _nowhere(matte: NDArray[np.uint8]) -> _Outline:
    """A field without an outline."""
    return _Outline(np.zeros(matte.shape, np.float32), (0, 0), 1, 0)


def _steepest(level: Floats, size: tuple[int, int]) -> Floats:
    """The larger of the differences to the two neighbours along one axis."""
    kernel = np.ones(size, np.uint8)
    return np.maximum(cv2.dilate(level, kernel) - level, level - cv2.erode(level, kernel))


def _floats(matte: NDArray[np.uint8]) -> Floats:
    """From 255 levels to [0,1]."""
    return matte.astype(np.float32) / np.float32(255)


def _edge(field: Floats, softness: float) -> Floats:
    """The matte of a field: half opaque at 0, and ``softness`` pixels from nothing to all."""
    return np.clip(np.float32(0.5) + field / np.float32(softness), 0, 1)


def _area(field: Floats, softness: float) -> float:
    """The share of the frame that a field's matte covers."""
    samples, softness = _samples(field, softness)
    return float(_edge(samples, softness).mean())


def _level(field: Floats, softness: float, area: float) -> np.float32:
    """The level at which to cut a field so that its matte covers this share of the frame."""
    samples, softness = _samples(field, softness)
    low, high = float(samples.min()) - softness, float(samples.max()) + softness
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _edge(samples - middle, softness).mean() > area else (low, middle)
    return np.float32((low + high) / 2)


def _samples(field: Floats, softness: float) -> tuple[Floats, float]:
    """Samples of a field, and the softness with which each stands for the square around it."""
    apart = max(1, min(field.shape) // _SAMPLES)
    return np.ascontiguousarray(field[::apart, ::apart]), max(apart, softness)


def _shifted(image: Floats, x: float, y: float, beyond: Literal["edge", "constant"]) -> Floats:
    """The image moved by x and y pixels, linearly sampled; beyond it are its edges again, or 0."""
    image = np.pad(image, 1, mode=beyond)
    for axis, way in ((1, x), (0, y)):
        last = image.shape[axis] - 1
        place = np.arange(1, last) - way
        below = np.floor(place).astype(int)
        share = np.expand_dims((place - below).astype(np.float32), 1 - axis)
        one, other = (image.take(at.clip(0, last), axis) for at in (below, below + 1))
        image = one + share * (other - one)
    return image


def _sampled(image: Floats, places: Floats, beyond: Literal["edge", "constant"]) -> Floats:
    """The image at places (H,W,2), linearly sampled; beyond it are its edges again, or 0."""
    border = cv2.BORDER_REPLICATE if beyond == "edge" else cv2.BORDER_CONSTANT
    x, y = cv2.split(places)
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border), np.float32)
