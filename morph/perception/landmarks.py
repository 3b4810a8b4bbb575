"""Places of people's faces and bodies that are the same in two pictures, by MediaPipe where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morph.errors import ModelError
from morph.installed import cannot_use
from morph.media.keyframe import to_uint8
from morph.perception.detectors import VISIBLE, quiet

FOUND = 0.5
"""Confidence from which on something may be a face; where two may be, nobody can tell which belongs to which."""
CERTAIN = 0.7
"""Of both face detectors, from which on it is one: 56 of 60 faces of people pass, of 440 animals' none did."""
ALIKE = 0.8
"""How well the landmarks of two pictures lie over one another, moved and enlarged but not turned, 1 at best."""
LEAST = 4
"""Pairs of landmarks below which that says nothing."""
HEAD = 11
"""So many of a body's landmarks, the first, are on its head."""


@dataclass(frozen=True)
class Landmarks:
    """Pairs of places that are probably the same.

    points: (N,4), (xa, ya, xb, yb) in pixels of two pictures, 0 being the first one's centre. weight: (N,), how
    much each counts; all of a face make 1, as do all of a body.
    """

    points: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def swapped(self) -> Landmarks:
        """Those of the pictures in the other order."""
        return Landmarks(self.points[:, [2, 3, 0, 1]], self.weight)


@cache
def installed() -> str | None:
    """The version of MediaPipe; None where it, or its bundled weights, are not installed."""
    try:
        package = distribution("mediapipe")
    except PackageNotFoundError:
        return None
    weights = Path(str(package.locate_file("mediapipe/modules/face_landmark/face_landmark_with_attention.tflite")))
    return package.version if weights.is_file() else None


def shared_landmarks(first: Tensor, second: Tensor) -> Landmarks | None:
    """The landmarks of the one person whose face is seen in both pictures (1,3,H,W) in [-1,1], of one size.

    The 478 of a face mesh (Kartynnik et al., 2019, arXiv 1907.06724) and those of a body (Bazarevsky et al.,
    2020, arXiv 2006.10204) that are seen in both. None where either picture shows nobody, or several, or where
    they lie so differently that the one cannot become the other. MediaPipe must be :func:`installed`.

    Raises:
        ModelError: MediaPipe is installed, but cannot be used.
    """
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for first_points, second_points in zip(
        *(_person_landmarks(to_uint8(picture)[0]) for picture in (first, second)), strict=True
    ):
        seen = ~np.isnan(first_points + second_points).any(1)
        if seen.sum() >= LEAST and _overlap(first_points[seen], second_points[seen]) >= ALIKE:
            seen[:HEAD] &= not groups  # a face is there: its own are finer than a body's
            groups.append(
                (np.concatenate([first_points, second_points], 1)[seen], np.full(seen.sum(), 1 / len(seen)))
            )
    if not groups:
        return None
    points, weight = (torch.from_numpy(np.concatenate(parts)).float() for parts in zip(*groups, strict=True))
    return Landmarks(points, weight)


def _person_landmarks(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks of a face (478,2) and a body (33,2) in pixels, NaN where they are not seen."""
    nobody = np.full((478, 2), np.nan), np.full((33, 2), np.nan)
    image = np.ascontiguousarray(image)
    size = np.array(image.shape[1::-1])
    with quiet():
        solutions = _solutions()
        near_faces, far_faces = (_faces(solutions, image, distance) for distance in (0, 1))
        if len(near_faces) > 1 or len(far_faces) != 1 or far_faces[0].score[0] < CERTAIN:
            return nobody
        with solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True, min_detection_confidence=CERTAIN
        ) as mesh:
            meshes = mesh.process(image).multi_face_landmarks
        with solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
            body = pose.process(image).pose_landmarks
    face = _points(meshes[0], size) if meshes else nobody[0]
    if body is None:
        return face, nobody[1]
    joints = _points(body, size)
    joints[[landmark.visibility < VISIBLE for landmark in body.landmark]] = np.nan
    box = far_faces[0].location_data.relative_bounding_box
    corner, extent = np.array([box.xmin, box.ymin]) * size, np.array([box.width, box.height]) * size
    # a nose that is nowhere is in no face
    nose_in_face = (joints[0] >= corner).all() and (joints[0] <= corner + extent).all()
    return face, joints if nose_in_face else nobody[1]


def _faces(solutions: Any, image: NDArray[np.uint8], distance: int) -> Any:
    """What may be faces: at a distance of 0, those within 2 m of the camera, at 1 within 5 m."""
    with solutions.face_detection.FaceDetection(FOUND, model_selection=distance) as detector:
        return detector.process(image).detections or []


def _solutions() -> Any:
    try:
        from mediapipe import solutions
    except ImportError as error:
        why = cannot_use("mediapipe", "pose", error)
        raise ModelError(f"landmarks cannot be found: {why}, or set align.landmarks=off") from error
    return solutions


def _points(landmarks: Any, size: NDArray[np.int64]) -> NDArray[np.float64]:
    """Landmarks (N,2) in pixels, NaN where they are guessed outside the picture."""
    points = np.array([(landmark.x, landmark.y) for landmark in landmarks.landmark])
    points[((points < 0) | (points > 1)).any(1)] = np.nan
    return np.asarray(points * size - 0.5, np.float64)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """How well points (N,2) lie over as many others once both have one middle and spread; 1 at best."""
    a, b = a - a.mean(0), b - b.mean(0)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()).clip(1e-9))
