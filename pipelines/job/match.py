"""What of one picture is what of another: found, told of, drawn and written."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morph.errors import ExistsError, SettingsError
from morph.installed import how_to_install, version
from morph.media.image import laid_on_black
from morph.media.keyframe import Fit, Keyframe
from morph.media.points import MarkedPoints, read_points
from morph.media.recipe import read_recipe
from morph.media.stills import check_parent, write_png
from pipelines.job.picture import Picture, file_of
from pipelines.output.existing import REMEDY, check_file, refuse_inputs
from pipelines.output.field import field_arrays, field_files, write_field
from pipelines.request.alignment import Features
from pipelines.request.contents import hash_of_file

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.perception.correspondence import Correspondence

log = logging.getLogger("morph")


@dataclass(frozen=True)
class MatchOptions:
    """How two pictures are compared.

    size: (width, height) of both, None is that of the first. fit: how the other gets it. points: places that are
    the same, or a file of them. features: whose view; "unet" is that of ``model``, which None leaves to be the
    embedded one. landmarks: those of people help, where MediaPipe is.
    """

    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    points: str | MarkedPoints | None = None
    features: Features = "vgg16"
    model: str | None = None
    landmarks: bool = True


@dataclass(frozen=True, eq=False)
class Found:
    """Two pictures brought to one size, and what of the one is what of the other."""

    first: Keyframe
    second: Keyframe
    correspondence: Correspondence

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of both."""
        height, width = self.first.pixels.shape[2:]
        return width, height

    def drawn(self) -> NDArray[np.uint8]:
        """The picture of it, uint8 (H,W,3); see :func:`pipelines.between.panels.match_picture`."""
        from pipelines.between.panels import match_picture

        return match_picture(self.first.pixels, self.second.pixels, self.correspondence.warp)

    def confidence(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How sure each place of the first picture, and of the second, is: (H,W) in [0,1]."""
        arrays = field_arrays(self.correspondence.warp, self.size)
        return arrays["confidence_a"], arrays["confidence_b"]


def find_match(
    images: tuple[Picture, Picture], options: MatchOptions, tick: Callable[[], None] = lambda: None
) -> Found:
    """Find what in one picture is what in another, and tell of it; nothing is written. ``tick``: as in ``find``.

    Raises:
        InputError: pictures or points that cannot be used.
    """
    points = read_points(Path(options.points)) if isinstance(options.points, str) else options.points

    from pipelines.tasks.match import matched
    from pipelines.tasks.models import quiet_libraries

    quiet_libraries()
    with TemporaryDirectory(prefix="morph-") as folder:
        a, b = (file_of(image, Path(folder) / f"{name}.png") for image, name in zip(images, "AB", strict=True))
        model = options.model or "embedded"
        found = Found(
            *matched(a, b, options.size, options.fit, points, options.features, model, options.landmarks, tick)
        )
    _tell(found.first, found.second, found.correspondence, options.landmarks)
    if found.correspondence.mirrored:
        log.warning("%s: mirrored it matches far better: flip it left to right, if that is what you want", b)
    return found


@dataclass(frozen=True)
class Match:
    """What was found. field: the files that it was written to. size: (width, height). See ``Correspondence``."""

    field: Sequence[str]
    size: tuple[int, int]
    features: str
    landmarks: int
    energy_before: float
    energy_after: float
    matched: float
    mirrored: bool


def match_files(
    images: tuple[str, str], output: str, field: str | None, options: MatchOptions, overwrite: bool = False
) -> Match:
    """Find what in one picture is what in another, and draw it into the PNG ``output``.

    field: FILE.npz or FILE.exr, where the field goes as well, see :func:`pipelines.output.field.write_field`.
    overwrite: what is there gives way; without, only what was found between the same two pictures before does.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: pictures or points that cannot be used, or files that cannot be written or are the pictures.
    """
    path = Path(output)
    if path.suffix.lower() != ".png" or path.is_dir():
        raise SettingsError(f"output {output!r} is not the name of a PNG; write -o match.png")
    check_parent(path)
    if options.model and options.features != "unet":
        raise SettingsError(
            f"--model {options.model} has no part in --features {options.features}; add --features unet"
        )
    files = field_files(Path(field)) if field else []
    inputs = [*images, *([options.points] if isinstance(options.points, str) else [])]
    for file in (path, *files):
        refuse_inputs(file, map(Path, inputs))
    made = {"matched": [hash_of_file(Path(image)) for image in images], "field": [file.name for file in files]}
    if not overwrite:
        _check_free(path, files, made)

    found = find_match(images, options)
    correspondence = found.correspondence
    write_png(path, found.drawn(), json.dumps({"morph": version(), **made}))
    if field:
        write_field(Path(field), correspondence.warp, found.size)
    return Match(
        field=[str(file) for file in files],
        size=found.size,
        features=correspondence.features,
        landmarks=correspondence.landmarks,
        energy_before=correspondence.before,
        energy_after=correspondence.after,
        matched=correspondence.matched,
        mirrored=correspondence.mirrored,
    )


def _tell(first: Keyframe, second: Keyframe, correspondence: Correspondence, landmarks: bool) -> None:
    """What a person should know of two pictures, and of how well they match; ``landmarks`` were asked for."""
    from morph.perception.landmarks import installed

    for keyframe in (first, second):
        for notice in keyframe.notices:
            log.warning("%s", notice)
        if keyframe.alpha is not None:
            log.warning("%s", laid_on_black(keyframe.source))
    energy = f"energy {correspondence.before:.3f} before, {correspondence.after:.3f} after"
    log.warning(
        "%s", f"compared by {correspondence.features}: {correspondence.matched:.0%} of the places match; {energy}"
    )
    if correspondence.landmarks:
        log.warning("%d landmarks of people helped", correspondence.landmarks)
    elif landmarks and not installed():
        log.warning("landmarks of faces and bodies would help with people: %s", how_to_install("pose"))


def _check_free(path: Path, files: Sequence[Path], made: Mapping[str, Any]) -> None:
    """Refuse to replace what was not found between the same pictures, as the recipe in the drawing tells."""
    check_file(path, lambda recipe: recipe.get("matched") == made["matched"])
    for file in files:  # these have no recipe of their own
        is_ours = path.exists() and file.name in (read_recipe(path).get("field") or ())
        if not is_ours and os.path.lexists(file):
            raise ExistsError(f"{file}: is there already, and something else made it: {REMEDY}")
