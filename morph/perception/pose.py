"""Poses: where the joints of people are, which person is which in another picture, and what lies between.

Everything speaks OpenPose's 18 body keypoints (Cao et al., 2019, arXiv 1812.08008), the language of pose
ControlNets. Left and right are the person's own: who faces the camera has the left shoulder on the picture's
right. What finds people in a picture is in :mod:`morph.perception.detectors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

KEYPOINTS = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
"""Names of the keypoints, in OpenPose's order (its COCO model)."""

LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7)),
    *((1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
"""The 17 limbs that are drawn, as pairs of keypoints, in OpenPose's order."""

COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""RGB of the 18 joints; the first 17 are the limbs' too. ControlNets tell joints apart by nothing else."""

UNSHARED = 0.5
"""What a keypoint that only one of two people shows counts in their distance: half the picture."""

_STRANGERS = 1e3  # cost of two people who share no keypoint: more than any number of real distances
_STICK = 4 / 512  # a limb's half width and a joint's radius, as a share of the shorter side
_LIMB_BRIGHTNESS = 0.6
_PHOTO_BRIGHTNESS = 0.4
_CIRCLE = np.linspace(0, 2 * np.pi, 64, endpoint=False)
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at: slow motion must not go by whole pixels


@dataclass(frozen=True, eq=False)
class Person:
    """The 18 :data:`KEYPOINTS` of one person; the arrays are copied, and cannot be written to.

    points: (18,2), x and y as shares of the picture's width and height in [0,1], (0,0) where not seen.
    confidence: (18,) in [0,1]; 0 means not seen.

    Raises:
        ValueError: another shape, or a seen keypoint outside the picture.
    """

    points: NDArray[np.float64]
    confidence: NDArray[np.float64]

    def __post_init__(self) -> None:
        points = np.array(self.points, np.float64)
        confidence = np.array(self.confidence, np.float64)
        if points.shape != (len(KEYPOINTS), 2) or confidence.shape != (len(KEYPOINTS),):
            raise ValueError(
                f"a person has points (18,2) and confidence (18,), not {points.shape}, {confidence.shape}"
            )
        points[confidence == 0] = 0
        for name, values in (("points", points), ("confidence", confidence)):
            if not ((values >= 0) & (values <= 1)).all():  # also catches NaN
                raise ValueError(f"a person's {name} lie in [0,1], these do not: {values.tolist()}")
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which keypoints are there, (18,)."""
        return self.confidence > 0

    def as_dict(self) -> dict[str, list[float]]:
        """The keypoints that are seen by their names, each as [x, y, confidence]: for JSON."""
        return {
            name: [*point, confidence]
            for name, point, confidence in zip(
                KEYPOINTS, self.points.tolist(), self.confidence.tolist(), strict=True
            )
            if confidence > 0
        }


Pose: TypeAlias = tuple[Person, ...]
"""The people of one picture, in any order."""


class Matching(NamedTuple):
    """Who is who in two poses: ``pairs`` of indices, and who is left over in the ``first`` and ``second``."""

    pairs: tuple[tuple[int, int], ...]
    first: tuple[int, ...]
    second: tuple[int, ...]


def match(first: Pose, second: Pose) -> Matching:
    """Pair people so that the distances of the pairs have the least sum; the order within a pose means nothing.

    The distance of two people is the mean, over the keypoints that either shows, of how far the keypoint
    moves, in shares of the picture; one that the other lacks counts :data:`UNSHARED`, so that few keypoints
    that happen to be close do not make a match. As many people as possible find a partner, however far away,
    but who shares no keypoint with anyone stays alone. Pairs come in the first pose's order.
    """
    from scipy.optimize import linear_sum_assignment  # not for films without poses

    costs = np.array([[_distance(a, b) for b in second] for a in first]).reshape(len(first), len(second))
    rows, columns = linear_sum_assignment(costs)
    comparable = costs[rows, columns] < _STRANGERS
    pairs = tuple(zip(rows[comparable].tolist(), columns[comparable].tolist(), strict=True))
    matched = [set(side) for side in zip(*pairs, strict=True)] or [set(), set()]
    return Matching(
        pairs,
        tuple(index for index in range(len(first)) if index not in matched[0]),
        tuple(index for index in range(len(second)) if index not in matched[1]),
    )


def _distance(a: Person, b: Person) -> float:
    shared = a.seen & b.seen
    if not shared.any():
        return _STRANGERS
    distances = np.linalg.norm(a.points - b.points, axis=1)
    return float(np.where(shared, distances, UNSHARED)[a.seen | b.seen].mean())


def interpolate(first: Pose, second: Pose, alpha: float) -> Pose:
    """The pose at ``alpha``, 0 at the first and 1 at the second; the ends are returned as they are.

    In between there is one person for each pair of :func:`match`, with the keypoints that both show (Wang &
    Golland, arXiv 2307.12560), each on its straight way and as sure as the less sure of its two
    ends. Who has no partner is not there: half a person would have to be made up.

    Raises:
        ValueError: ``alpha`` is outside [0,1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha lies in [0,1], got {alpha}")
    if alpha in (0, 1):
        return second if alpha else first
    return tuple(
        _person_between(first[first_index], second[second_index], alpha)
        for first_index, second_index in match(first, second).pairs
    )


def _person_between(a: Person, b: Person, alpha: float) -> Person:
    confidence = np.minimum(a.confidence, b.confidence)  # 0 unless both show it
    points = a.points + alpha * (b.points - a.points)
    # The last bit of the sum may stand out beyond the second end.
    points = points.clip(np.minimum(a.points, b.points), np.maximum(a.points, b.points))
    return Person(points, confidence)


def draw(pose: Pose, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The skeletons on black as pose ControlNets were trained on them: uint8 RGB (H,W,3) of ``size`` (W,H).

    Limbs are ellipses at 60 % brightness, joints are discs over them. Both are 8 pixels wide where the
    shorter side has 512, and scale with it. Edges are smooth and positions finer than a pixel, so that a pose
    that moves slowly moves in every frame.
    """
    return _painted(np.zeros((size[1], size[0], 3), np.uint8), pose)


def draw_over(pose: Pose, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The skeletons over the dimmed ``image``, uint8 (H,W,3), to be looked at; the image is not changed."""
    return _painted(np.rint(image * _PHOTO_BRIGHTNESS).astype(np.uint8), pose)


def _painted(canvas: NDArray[np.uint8], pose: Pose) -> NDArray[np.uint8]:
    # controlnet_aux's draw_bodypose paints the same at 512 pixels, which a test holds us to. It is not called,
    # since it knows only sticks of 4 whole pixels at whole degrees, and to import it loads torch, timm and all
    # of that package's other detectors.
    import cv2

    sides = np.array([canvas.shape[1], canvas.shape[0]])
    radius = max(1.0, _STICK * sides.min())
    for person in pose:
        points = person.points * sides - 0.5  # OpenCV's whole numbers are the middles of pixels
        for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
            if not (person.seen[start] and person.seen[end]):
                continue
            half = (points[end] - points[start]) / 2
            length = np.linalg.norm(half)
            along = half / length if length else np.array([1.0, 0.0])
            across = np.array([-along[1], along[0]]) * radius
            outline = points[start] + half + np.outer(np.cos(_CIRCLE), half) + np.outer(np.sin(_CIRCLE), across)
            dimmed = [int(level * _LIMB_BRIGHTNESS) for level in colour]
            cv2.fillConvexPoly(canvas, _fixed_point(outline), dimmed, cv2.LINE_AA, _SHIFT)
        for point, seen, colour in zip(points, person.seen, COLOURS, strict=True):
            if seen:
                cv2.circle(
                    canvas, _fixed_point(point).tolist(), int(_fixed_point(radius)), colour, -1, cv2.LINE_AA, _SHIFT
                )
    return canvas


def _fixed_point(values: NDArray[np.float64] | float) -> NDArray[np.int32]:
    return np.rint(np.asarray(values) * 2**_SHIFT).astype(np.int32)
