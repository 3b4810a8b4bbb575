"""Edits along directions that were found before."""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.diffusion.ddim import Step
from morph.directions.card import Found, parse_direction
from morph.directions.generator import Generator, Points, pictures_of
from morph.directions.glo import Glo
from morph.directions.h import HSpace
from morph.directions.opened import opened
from morph.directions.text import TextSpace
from morph.errors import SettingsError
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.directions import Direction


def directed(canvas: Canvas, how: Direction, amounts: Sequence[float]) -> Steps[Step, None, Tensor]:
    """The picture moved along a direction; a weaker edit goes less far.

    What the space makes of the picture as it is, is not the picture: that difference is left out again.
    """
    if not how.direction:
        raise SettingsError("edit direction needs a direction: give one, by --set direction=FILE.safetensors:NUMBER")
    return canvas, how, amounts
