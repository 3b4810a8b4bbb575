"""Two pictures from files, and what of the one is what of the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from morph.media.image import read_image
from morph.media.keyframe import Fit, Keyframe, load_keyframe
from morph.media.points import MarkedPoints
from morph.perception.correspondence import Correspondence, find
from morph.perception.landmarks import installed, shared_landmarks
from pipelines.request.alignment import Features
from pipelines.tasks.models import Models


def matched(
    first: Path,
    second: Path,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    points: MarkedPoints | None = None,
    features: Features = "vgg16",
    model: str = "embedded",
    landmarks: bool = True,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Keyframe, Keyframe, Correspondence]:
    """Bring two pictures to one size and find the field between them.

    size: (width, height); the first picture's own when left out. points: in pixels of the upright
    pictures as they are on disk; they are obeyed. model: whose denoiser the features "unet" are; others load none.
    landmarks: those of people help, where MediaPipe is installed. tick: see ``find``.

    Raises:
        KeyframeError: a picture cannot be used.
        InputError: points are not on the keyframes.
        ModelError: the model cannot be loaded.
    """
    originals = [_upright_size(path) for path in (first, second)]
    size = size or originals[0]
    places = None if points is None else torch.from_numpy(points.prepared(originals, size, fit)).float()
    a, b = (load_keyframe(path, "", size, fit) for path in (first, second))
    models = Models.from_pretrained(model) if features == "unet" else Models.without_model()
    helpful = shared_landmarks(a.pixels, b.pixels) if landmarks and installed() else None
    return a, b, find(a.pixels, b.pixels, models.looker(features), places, helpful, tick)


def _upright_size(path: Path) -> tuple[int, int]:
    height, width = read_image(path).pixels.shape[:2]
    return width, height
