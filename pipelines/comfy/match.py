"""What of one picture is what of another, as ComfyUI takes it: a picture of it, and masks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from morph.errors import KeyframeError
from pipelines.comfy.pictures import arrays, batch_of
from pipelines.comfy.widgets import points_in, size_in
from pipelines.job.match import MatchOptions, find_match
from pipelines.request.alignment import Features


def match(
    first: Tensor,
    second: Tensor,
    points: str,
    size: str,
    features: Features,
    landmarks: bool,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Find what in one picture is what in another: a drawing, IMAGE (1,H',W',3), and how sure it is, MASK (2,H,W).

    first, second: IMAGE (1,H,W,C) each. points: places that are the same, in their pixels; they are obeyed. size:
    of both, empty for that of the first. The masks lie on the first picture and on the second, 1 where it is sure.
    tick: called at every step; what it raises ends it.

    Raises:
        InputError: pictures or points that cannot be used.
    """
    for name, images in (("A", first), ("B", second)):
        if images.ndim == 4 and images.shape[0] > 1:
            raise KeyframeError(f"{name} is a batch of {images.shape[0]} pictures; connect one")
    pictures = (arrays(first)[0], arrays(second)[0])
    options = MatchOptions(size_in(size), points=points_in(points), features=features, landmarks=landmarks)
    found = find_match(pictures, options, tick)
    confidence = torch.stack([torch.from_numpy(mask) for mask in found.confidence()])
    return batch_of([found.drawn()]), confidence
