"""Two pictures from files, and what of the one is what of the other."""

from __future__ import annotations

from pathlib import Path

import torch

from morph.errors import SettingsError
from morph.media.keyframe import Fit, Keyframe, load_keyframe, read_image
from morph.media.points import read_points
from morph.perception.correspondence import Correspondence, find
from morph.perception.dense import AlexNet, Looker, Vgg16
from morph.perception.lpips import PerceptualDistance

FEATURES = ("vgg16", "alexnet")
"""Networks whose view of the pictures is compared."""


def matched(
    first: Path,
    second: Path,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    points: Path | None = None,
    features: str = "vgg16",
) -> tuple[Keyframe, Keyframe, Correspondence]:
    """Bring two pictures to one size and find the field between them.

    size: (width, height); the first picture's own when left out. points: a file of pairs of points in pixels of the
    upright pictures as they are on disk; they are obeyed.

    Raises:
        KeyframeError: a picture cannot be used.
        InputError: the points cannot be read, or are not on the keyframes.
        SettingsError: unknown features.
    """
    marked = read_points(points) if points else None
    originals = [_upright_size(path) for path in (first, second)]
    size = size or originals[0]
    places = None if marked is None else torch.from_numpy(marked.prepared(originals, size, fit)).float()
    a, b = (load_keyframe(path, "", size, fit) for path in (first, second))
    return a, b, find(a.pixels, b.pixels, _looker(features), places)


def _upright_size(path: Path) -> tuple[int, int]:
    height, width = read_image(path).pixels.shape[:2]
    return width, height


def _looker(features: str) -> Looker:
    if features == "vgg16":
        return Vgg16()
    if features == "alexnet":
        return AlexNet(PerceptualDistance())
    raise SettingsError(f"features {features!r}: choose from {', '.join(FEATURES)}")
