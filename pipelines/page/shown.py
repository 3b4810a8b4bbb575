"""A finished film with all that the page shows of it and gives away: files beside it, made once."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from morph.media.frame import to_rgb8
from morph.media.png import encode_png
from morph.media.sheet import contact_sheet
from morph.media.stills import atomic_path, write_png
from pipelines.between.rendered_way import MATCHES
from pipelines.job.result import Result, load_result
from pipelines.output.outputs import RECIPE, beside
from pipelines.page.desk import Film
from pipelines.report.distances import plots
from pipelines.report.markup import Markup, element, joined
from pipelines.report.page import write_report
from pipelines.tasks.frames import read_stills

SHEET, COLUMNS, CELL = 24, 6, 240
"""Frames of the contact sheet, at most, in a row of it, and pixels of the longer side of each."""


@dataclass(frozen=True)
class Shown:
    """Files of a finished film; ``curve`` is markup, ``matches`` a picture for each way that has one."""

    film: Path
    sheet: Path
    curve: Markup
    matches: tuple[Path, ...]
    frames: Path
    timeline: Path
    recipe: Path
    report: Path

    @property
    def downloads(self) -> tuple[Path, ...]:
        """The film, its frames, its timeline, its recipe, and the page about it."""
        return self.film, self.frames, self.timeline, self.recipe, self.report


def finish(film: Film) -> None:
    """Make of a finished render what the page gives away besides: the sheet, the frames in a zip, and a report.

    Raises:
        MorphError: the job is not finished, its frames are damaged, or a disk refused.
    """
    result = load_result(film.job)
    count = len(result.frames)
    numbers = np.linspace(0, count - 1, min(count, SHEET)).round().astype(int).tolist()
    cells = [_small(pixels) for pixels in read_stills(film.job, [result.frames[number] for number in numbers])]
    write_png(_sheet(film), contact_sheet(cells, COLUMNS))
    with atomic_path(_frames(film)) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for number, pixels in enumerate(read_stills(film.job, result.frames), 1):
            archive.writestr(f"{film.name}.{number:04d}.png", encode_png(pixels))
    write_report(film.job, _report(film), overwrite=True)


def shown(film: Film) -> Shown:
    """All that there is to show of a finished film; what is missing is made.

    Raises:
        MorphError: as :func:`finish`.
    """
    result = load_result(film.job)
    if not all(file.is_file() for file in (_sheet(film), _frames(film), _report(film))):
        finish(film)
    return Shown(
        film.file,
        _sheet(film),
        _curve(result),
        tuple(_matches(film, result)),
        _frames(film),
        film.file.with_suffix(".otio"),
        beside(film.file, RECIPE),
        _report(film),
    )


def _curve(result: Result) -> Markup:
    figures = plots(result)
    if not figures:
        return element("p", "Two frames or fewer: there is nothing to measure.")
    explanation = "How much changes from each frame to the next: the more even, the smoother the film looks."
    return element("div", element("p", explanation), joined(*figures), class_="curve")


def _matches(film: Film, result: Result) -> Iterable[Path]:
    names = (segment.match for segment in result.segments)
    places = (film.job / MATCHES / Path(name).name for name in names if name)
    return (place for place in places if place.is_file())


def _small(pixels: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(to_rgb8(pixels))
    picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _sheet(film: Film) -> Path:
    return film.folder / f"{film.name}.sheet.png"


def _frames(film: Film) -> Path:
    return film.folder / f"{film.name}.frames.zip"


def _report(film: Film) -> Path:
    return film.folder / f"{film.name}.html"
