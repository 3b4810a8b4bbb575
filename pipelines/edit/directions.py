"""Edits along directions that were found before."""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from morph.diffusion.ddim import Step
from morph.diffusion.schedule import CLEAN
from morph.directions.card import Found
from morph.directions.generator import Generator, pictures_of
from morph.directions.glo import Glo
from morph.directions.opened import opened
from morph.directions.semantic import SemanticSpace
from morph.errors import ModelError, SettingsError
from morph.scaling import enlarged, reduced_pixels, size_of
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.codes import levels_of
from pipelines.request.edits.directions import Direction


def directed(canvas: Canvas, how: Direction, amounts: Sequence[float]) -> Steps[Step, None, Tensor]:
    """The picture moved along a direction; a weaker edit goes less far.

    What a space makes of the picture is not quite the picture, so that only the change of it is taken. A step is
    yielded for each of what is made.

    Raises:
        SettingsError: as :func:`found_of`; there is no direction of that number.
        ModelError: likewise; the directions are of another model.
    """
    path, found = Path(how.directions), found_of(how)
    number = found.number(how.number)
    size = size_of(canvas.pixels)
    generator = _space(canvas, how, found, path, size)
    found.check(generator, path)
    own = size_of(canvas.pixels) if not isinstance(generator, Glo) else generator.size
    moves = generator.all_codes.of_levels(levels_of(how.levels)) if isinstance(generator, SemanticSpace) else None
    points = generator.project(reduced_pixels(canvas.pixels, own))
    yield Step(CLEAN, canvas.latents, canvas.latents)
    plain = pictures_of(generator, points)
    start = canvas.model.decode(canvas.latents)
    made = []
    for amount in amounts:
        shift = found.directions.shifts(points.codes, number, torch.tensor([how.far * amount]))
        shift = shift if moves is None else shift * moves.to(shift)
        change = (pictures_of(generator, points, shift) - plain).to(start)
        made.append(start + (change if own == size else enlarged(change, size)))
        yield Step(CLEAN, canvas.latents, canvas.latents)
    return torch.cat(made).clamp(-1, 1)


def found_of(how: Direction) -> Found:
    """The directions that an edit goes along, once all that they need is seen to be named.

    What lies beside them unnamed is not taken: it would be in no recipe, and might change.

    Raises:
        SettingsError: no file was given, or none of their space, or one that they are not of; levels of directions
            that have none; or there is no direction of that number.
        ModelError: no such file, or something else in it.
    """
    if not how.directions:
        raise SettingsError("edit direction needs a file of directions: give one, by --set directions=FILE")
    path = Path(how.directions)
    found = Found.load(path)
    found.number(how.number)
    space = found.card.space.get("space")
    if how.levels and space != "semantic":
        raise SettingsError("levels are of directions of semantic codes: leave them out")
    if how.glo and space != "glo":
        raise SettingsError(f"directions {path} are of no space of a file: leave out glo")
    if space == "glo" and not how.glo:
        name = Path(str(found.card.space.get("file", ""))).name
        beside = path.with_name(name) if name.endswith(".safetensors") else Path("FILE")
        raise SettingsError(
            f"directions {path} are of a space that is in a file of its own: give --set glo={beside}"
        )
    return found


def _space(canvas: Canvas, how: Direction, found: Found, path: Path, size: tuple[int, int]) -> Generator:
    """The space that directions of a file are of, at the size of the canvas."""
    space, numbers = found.card.space, canvas.numbers
    if space.get("space") == "glo":
        return Glo.load(Path(how.glo))
    until = space.get("until", 0.5)
    if not isinstance(until, int | float) or not 0 <= until <= 1:
        raise ModelError(f"directions {path} do not say where h is moved; find them again")
    return opened(
        canvas.model,
        str(space.get("space")),
        size,
        steps=numbers.steps,
        guidance=numbers.guidance,
        until=float(until),
        prompt=canvas.edit.source,
        inversions=numbers.inversion_iterations,
    )
