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
        first_outline, second_outline = _outline(first), _outline(second)
        # Where nothing, or everything, is inside, the other's outline shrinks or grows to that.
        self._pictures = (
            0 if first_outline or not second_outline else 1,
            1 if second_outline or not first_outline else 0,
        )
        self._outlines = (
            first_outline or replace(second_outline or _no_outline(first), area=float(first.min() > 127)),
            second_outline or replace(first_outline or _no_outline(second), area=float(second.min() > 127)),
        )
        self._residuals: tuple[Floats, Floats] = (
            _to_floats(first) - self._shape_matte(0),
            _to_floats(second) - self._shape_matte(1),
        )

    def at(self, position: float) -> Floats:
        """The matte, float32 (H,W) in [0,1], at ``position`` from 0, the first, to 1, the second.

        At 0 and 1 it is the keyframe's, bit for bit once it is rounded to 8 or 16 bits.

        Raises:
            ValueError: another ``position``.
        """
        if not 0 <= position <= 1:
            raise ValueError(f"a matte is wanted at {position}, but the keyframes stand at 0 and 1")
        position = float(position)  # a float64 of numpy would make float64 of all that it meets
        first_residual, second_residual = self._aligned(*self._residuals, position, "constant", (0, 1))
        matte = self._shape_matte(position) + (1 - position) * first_residual + position * second_residual
        return np.clip(matte, 0, 1)

    def _shape_matte(self, position: float) -> Floats:
        """The outline's own matte."""
        first, second = self._outlines
        first_field, second_field = self._aligned(first.field, second.field, position, "edge", self._pictures)
        field = np.float32(1 - position) * first_field + np.float32(position) * second_field
        softness = (1 - position) * first.softness + position * second.softness
        area = ((1 - position) * first.area**0.5 + position * second.area**0.5) ** 2
        return _edge(field - _cut_level(field, softness, area), softness)

    def _aligned(
        self,
        first: Floats,
        second: Floats,
        position: float,
        beyond: Literal["edge", "constant"],
        pictures: tuple[int, int],
    ) -> tuple[Floats, Floats]:
        """What belongs to either end, moved to where the shape is; ``pictures`` are those that they are of."""
        if self._maps:
            if position in (0, 1):  # the one stands where it is, the other does not count
                return first, second
            maps = self._maps(position)
            return _sampled(first, maps[pictures[0]], beyond), _sampled(second, maps[pictures[1]], beyond)
        (first_x, first_y), (second_x, second_y) = (outline.centre for outline in self._outlines)
        shift_x, shift_y = second_x - first_x, second_y - first_y
        return (
            _shifted(first, position * shift_x, position * shift_y, beyond),
            _shifted(second, (position - 1) * shift_x, (position - 1) * shift_y, beyond),
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
    premultiplied, opacity = np.split(pyramid.pop(), [3], axis=2)
    filled: Floats = np.divide(premultiplied, opacity, out=np.zeros_like(premultiplied), where=opacity > 0)
    for finer in reversed(pyramid):
        height, width = finer.shape[:2]
        filled = np.asarray(cv2.pyrUp(filled, dstsize=(width, height)), np.float32)
        filled *= 1 - finer[..., 3:]
        filled += finer[..., :3]
    translucent = (matte > 0) & (matte < 1)
    premultiplied, opacity = colour[translucent], matte[translucent][:, None]
    tolerance = np.float32(0.49 * level) * (1 - opacity)  # less than half: what is laid is rounded once more
    filled[translucent] = np.clip(
        filled[translucent], (premultiplied - tolerance) / opacity, (premultiplied + tolerance) / opacity
    )
    return np.clip(filled, 0, 1, out=filled)


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
    nearby = cv2.dilate((levels > 0).view(np.uint8), np.ones((2 * BLEED + 1, 2 * BLEED + 1), np.uint8))
    return np.dstack([cv2.copyTo(colour, nearby), levels.astype(colour.dtype)])


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
    level = _to_floats(matte) - np.float32(0.5)
    inside = (level > 0).view(np.uint8)
    if inside.min() == inside.max():
        return None
    # Beside the outline the matte itself tells the distance, by how steep it is on its steeper side.
    beside_edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, _CROSS) > 0
    slope = np.hypot(_steepest(level, (3, 1)), _steepest(level, (1, 3)))
    edge_distance = np.divide(level, slope, out=np.ones_like(level), where=beside_edge)
    # Elsewhere it is the distance to the nearest such pixel and its own. Of two that face each other across the
    # outline the nearer one serves, half a pixel from it at most.
    off_edge = (np.abs(edge_distance) > 0.5).view(np.uint8)
    distance = cv2.distanceTransform(off_edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    _, nearest = cv2.distanceTransformWithLabels(
        off_edge, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    pixel_distances = np.zeros(nearest.max() + 1, np.float32)
    pixel_distances[nearest[off_edge == 0]] = edge_distance[off_edge == 0]
    elsewhere = pixel_distances[nearest] + np.where(inside, distance, -distance)
    field = np.where(beside_edge, edge_distance, elsewhere).astype(np.float32)
    moments = cv2.moments(inside, binaryImage=True)
    centre = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    softness = max(1.0, 1 / float(np.median(slope[beside_edge])))
    return _Outline(field, centre, softness, _area(field, softness))


def _no_outline(matte: NDArray[np.uint8]) -> _Outline:
    """A field without an outline."""
    return _Outline(np.zeros(matte.shape, np.float32), (0, 0), 1, 0)


def _steepest(level: Floats, size: tuple[int, int]) -> Floats:
    """The larger of the differences to the two neighbours along one axis."""
    kernel = np.ones(size, np.uint8)
    return np.maximum(cv2.dilate(level, kernel) - level, level - cv2.erode(level, kernel))


def _to_floats(matte: NDArray[np.uint8]) -> Floats:
    """From 255 levels to [0,1]."""
    return matte.astype(np.float32) / np.float32(255)


def _edge(field: Floats, softness: float) -> Floats:
    """The matte of a field: half opaque at 0, and ``softness`` pixels from nothing to all."""
    return np.clip(np.float32(0.5) + field / np.float32(softness), 0, 1)


def _area(field: Floats, softness: float) -> float:
    """The share of the frame that a field's matte covers."""
    samples, softness = _samples(field, softness)
    return float(_edge(samples, softness).mean())


def _cut_level(field: Floats, softness: float, area: float) -> np.float32:
    """The level at which to cut a field so that its matte covers this share of the frame."""
    samples, softness = _samples(field, softness)
    low, high = float(samples.min()) - softness, float(samples.max()) + softness
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _edge(samples - middle, softness).mean() > area else (low, middle)
    return np.float32((low + high) / 2)


def _samples(field: Floats, softness: float) -> tuple[Floats, float]:
    """Samples of a field, and the softness with which each stands for the square around it."""
    stride = max(1, min(field.shape) // _SAMPLES)
    return np.ascontiguousarray(field[::stride, ::stride]), max(stride, softness)


def _shifted(image: Floats, x: float, y: float, beyond: Literal["edge", "constant"]) -> Floats:
    """The image moved by x and y pixels, linearly sampled; beyond it are its edges again, or 0."""
    image = np.pad(image, 1, mode=beyond)
    for axis, shift in ((1, x), (0, y)):
        last = image.shape[axis] - 1
        coordinates = np.arange(1, last) - shift
        lower = np.floor(coordinates).astype(int)
        fraction = np.expand_dims((coordinates - lower).astype(np.float32), 1 - axis)
        lower_values, upper_values = (image.take(index.clip(0, last), axis) for index in (lower, lower + 1))
        image = lower_values + fraction * (upper_values - lower_values)
    return image


def _sampled(image: Floats, places: Floats, beyond: Literal["edge", "constant"]) -> Floats:
    """The image at places (H,W,2), linearly sampled; beyond it are its edges again, or 0."""
    border = cv2.BORDER_REPLICATE if beyond == "edge" else cv2.BORDER_CONSTANT
    x, y = cv2.split(places)
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border), np.float32)
