"""What directions do to pictures, as a sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import SettingsError
from morph.installed import version
from morph.media.stills import check_parent, write_png
from pipelines.directions.spaces import SpaceAsked, pictures_from
from pipelines.output.existing import check_file
from pipelines.request.contents import hash_of_file
from pipelines.tasks.progress import Bar

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.directions.card import Found
    from morph.directions.generator import Generator, Points


@dataclass(frozen=True)
class ShowOptions:
    """What of directions is shown.

    images: pictures that are moved; without any, ``samples`` of what the space holds, by a seed. amount: how far
    to either side, in natural units. columns: pictures of a row. numbers: which directions, counted from 1; all
    without. space: glo:FILE where the file lies elsewhere.
    """

    images: tuple[str, ...] = ()
    samples: int = 1
    amount: float = 2.0
    columns: int = 5
    numbers: tuple[int, ...] = ()
    seed: int = 0
    model: str = "embedded"
    space: str = ""
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what is out of its bounds, with a SettingsError."""
        for name, value, high in (("columns", self.columns, 99), ("samples", self.samples, 1000)):
            if not 1 <= value <= high:
                raise SettingsError(f"{name} is {value}; it must be from 1 to {high}")
        if not 0 < self.amount <= 1000:
            raise SettingsError(f"amount is {self.amount}; it must be above 0, and 1000 at most")


@dataclass(frozen=True)
class Shown:
    """What was drawn. changes: of each row, the mean change at either end, of a range of 2."""

    output: str
    method: str
    space: str
    rows: int
    changes: Sequence[float]


def show_file(file: str, output: str, options: ShowOptions, bar: Bar, overwrite: bool = False) -> Shown:
    """Draw a sheet of directions into the PNG ``output``: a row for each of them and each picture.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: something that was given cannot be used.
    """
    path = Path(output)
    if path.suffix.lower() != ".png" or path.is_dir():
        raise SettingsError(f"output {output!r} is not the name of a PNG; write -o sheet.png")
    check_parent(path)
    for image in options.images:
        if path.exists() and Path(image).exists() and path.samefile(image):
            raise SettingsError(f"output {output!r} is the input {image!r} itself; name another file")

    from morph.directions.card import Found

    found = Found.load(Path(file))
    made = {
        "directions": hash_of_file(Path(file)),
        "images": [hash_of_file(Path(image)) for image in options.images],
    }
    if not overwrite:
        check_file(path, lambda recipe: all(recipe.get(key) == value for key, value in made.items()))
    numbers = [found.number(number) for number in options.numbers] or list(range(len(found.directions)))
    generator = space_of(found, Path(file), options.model, options.space, options.device, options.dtype).opened()
    found.check(generator, file)
    points = _points(generator, options)
    sheet, changes = _drawn(generator, found, points, numbers, options, bar)
    write_png(path, sheet, json.dumps({"morph": version(), **made}))
    return Shown(output, found.card.method, generator.name, len(changes), changes)


def space_of(
    found: Found, file: Path, model: str, space: str = "", device: str = "auto", dtype: str = "auto"
) -> SpaceAsked:
    """The space of a file's directions, in a model; ``space`` says where one is that was learnt of pictures.

    Raises:
        InputError: their card says nothing that it can be opened by.
    """
    if space:
        return SpaceAsked.of(space, {}, model, device, dtype)
    return SpaceAsked.again(found.card.space, file, model, device, dtype)


def _points(generator: Generator, options: ShowOptions) -> Points:
    if not options.images:
        return generator.sample(options.samples, options.seed)
    width, height = generator.settings["size"]
    return generator.project(pictures_from([Path(image) for image in options.images], (width, height)))


def _drawn(
    generator: Generator,
    found: Found,
    points: Points,
    numbers: Sequence[int],
    options: ShowOptions,
    bar: Bar,
) -> tuple[Any, list[float]]:
    """The sheet, and the mean change of each row at its ends."""
    import torch

    from morph.directions.generator import pictures_of
    from morph.media.keyframe import to_uint8
    from morph.media.sheet import contact_sheet

    amounts = torch.linspace(-options.amount, options.amount, options.columns) if options.columns > 1 else None
    amounts = torch.tensor([options.amount]) if amounts is None else amounts
    labels, frames, changes = [], [], []
    rows = [(number, row) for row in range(len(points)) for number in numbers]
    with bar({"show": len(rows)}) as tell:
        for index, (number, row) in enumerate(rows):
            start = points[row : row + 1].repeated(len(amounts))
            shifts = found.directions.shifts(start.codes, number, amounts)
            pictures = pictures_of(generator, start, shifts)
            plain = pictures_of(generator, points[row : row + 1])
            changes.append(round(float((pictures[[0, -1]] - plain).abs().mean()), 5))
            frames += list(to_uint8(pictures))
            label = found.card.labels[number] if found.card.labels else ""
            labels.append(f"{number + 1} {label}".strip()[:40])
            tell("show", index + 1, len(rows), None)
    return contact_sheet(frames, len(amounts), labels=labels), changes
