"""Directions found as they were asked for, and written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import ExistsError, ModelError, SettingsError
from morph.media.image import read_image
from morph.media.stills import check_parent
from morph.weights.locate import check_name
from pipelines.directions.asked import FitAsked
from pipelines.directions.spaces import pictures_from
from pipelines.manifest.folder import pictures
from pipelines.output.existing import REMEDY, refuse_inputs
from pipelines.tasks.progress import Bar

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.directions.generator import Generator, Points


@dataclass(frozen=True)
class Fitted:
    """What was written. numbers: what was measured."""

    output: str
    directions: int
    space: str
    numbers: Mapping[str, Any]


def fit_file(asked: FitAsked, output: str, bar: Bar, overwrite: bool = False) -> Fitted:
    """Find directions, and write them into the safetensors ``output``.

    overwrite: what is there gives way; without, only what was asked for in the same way does.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: something that was given cannot be used.
    """
    path = Path(output)
    if path.suffix != ".safetensors" or path.is_dir():
        raise SettingsError(f"output {output!r} is not the name of a file of directions; write -o own.safetensors")
    check_parent(path)
    refuse_inputs(path, _read(asked))
    if not overwrite and os.path.lexists(path) and not _known(path, asked):
        raise ExistsError(f"{path}: is there already, and something else made it: {REMEDY}")
    if asked.mask:
        read_image(asked.mask)  # what cannot be used is told before anything is made
    check_name(asked.clip)
    files = pictures(asked.data)[: asked.samples or asked.method.samples] if asked.data else []

    from morph.directions.card import Card, Found
    from pipelines.directions.finding import find, others

    generator = asked.space.opened()
    apart_from = others(generator, asked)  # what is not there is said before anything is made
    with bar({"sample": 1, "fit": 1}) as tell:
        tell("sample", 0, 1, None)
        points = _points(generator, asked, files)
        tell("sample", 1, 1, None)
        result = find(generator, points, asked, lambda step, of: tell("fit", step, of, None), apart_from)
    card = Card(
        method=asked.method.name,
        source=asked.method.paper,
        of=generator.name,
        shape=generator.shape,
        fingerprint=generator.fingerprint,
        space={**generator.settings, **asked.space.said},
        seed=asked.seed,
        numbers={**result.numbers, "samples": len(points), "asked": asked.as_dict()},
        labels=result.labels,
    )
    Found(result.directions, card).save(path)
    return Fitted(output, len(result.directions), generator.name, result.numbers)


def _read(asked: FitAsked) -> Iterator[Path]:
    """The files that directions are found from, by the names that were given."""
    from morph.directions.card import parse_direction

    yield from filter(None, (asked.space.file, asked.mask))
    yield from (parse_direction(text)[0] for text in asked.apart)
    for folder in (asked.data, *(asked.folders or ())):
        yield from pictures(folder) if folder else ()


def _points(generator: Generator, asked: FitAsked, files: list[Path]) -> Points:
    if not files:
        return generator.sample(asked.samples or asked.method.samples, asked.seed)
    size = generator.settings["size"]
    return generator.project(pictures_from(files, (size[0], size[1])))


def _known(path: Path, asked: FitAsked) -> bool:
    """Whether a file holds what was asked for in the same way."""
    from morph.directions.card import Found

    try:
        return Found.load(path).card.numbers.get("asked") == asked.as_dict()
    except ModelError:
        return False
