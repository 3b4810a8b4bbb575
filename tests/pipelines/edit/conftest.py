"""A canvas with a photograph on it."""

import pytest
import torch

from morph.perception.clip import load_clip
from morph.perception.lpips import PerceptualDistance
from morph.scaling import reduced_pixels
from pipelines.edit.canvas import Canvas
from pipelines.job.keyframe import sized
from pipelines.request.edits.edit import Edit
from tests.conftest import SAMPLES


def canvas_of(model, mask=None, other=None, side=64, **values):
    """One of a model, a square of a photograph, and an edit."""
    keyframe, _ = sized(SAMPLES / "cat.jpg", model.geometry, str(side), str(side))
    pixels = reduced_pixels(keyframe.pixels, (side, side))
    files = {"mask": mask, "reference": other}
    asked = values | {name: f"{name}.png" for name, given in files.items() if given is not None}
    return Canvas(model, Edit.of(asked), pixels, mask, other, PerceptualDistance(), load_clip)


@pytest.fixture
def canvas():
    """Makes one of a model: ``canvas(model, how=..., ...)``."""
    torch.manual_seed(0)
    return canvas_of
