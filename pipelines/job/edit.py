"""One picture edited, to its file, or to the pictures of the edit's own way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import ExistsError, SettingsError
from morph.installed import version
from morph.media.pattern import StillPattern
from morph.media.recipe import published
from morph.media.stills import FIRST_FRAME, FrameFolder, check_parent, frame_numbers, write_png
from pipelines.job.needs import check_directions
from pipelines.output.existing import REMEDY, check_file
from pipelines.request.contents import hash_of_file
from pipelines.request.edits.edit import Edit
from pipelines.request.recipe import published_edit
from pipelines.tasks.progress import Callback

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.diffusion.offload import Offload
    from pipelines.tasks.models import Models

log = logging.getLogger("morph")


@dataclass(frozen=True)
class EditOptions:
    """Where an edit is made, and how many pictures it gives.

    size, model_size: as the settings of these names. steps_out: pictures of the edit's own way, from the image
    itself to the edit; None gives the edit alone. count: so many edits, each with the next seed.
    """

    size: str = "image"
    model_size: str = "auto"
    steps_out: int | None = None
    count: int = 1
    model: str = "embedded"
    device: str = "auto"
    dtype: str = "auto"
    offload: Offload = "none"


@dataclass(frozen=True)
class Edited:
    """What was written, by which model, at which sizes (width, height)."""

    output: str
    pictures: int
    model: str
    size: tuple[int, int]
    model_size: tuple[int, int]


def edit_file(
    image: str,
    output: str,
    edit: Edit,
    options: EditOptions,
    bar: Callable[[Mapping[str, int]], AbstractContextManager[Callback]],
    overwrite: bool = False,
) -> Edited:
    """Edit a picture into the PNG ``output``; of several pictures, into PNGs of the folder ``output``.

    overwrite: what is there gives way; without, only what the same edit of the same picture has made before does.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: a picture or a model that cannot be used, or a file that cannot be written or is the picture.
    """
    path, several = Path(output), options.steps_out is not None or options.count > 1
    check_numbers(edit, options)
    if several == (path.suffix.lower() == ".png") or (path.is_dir() and not several):
        wanted = "the folder for several pictures, such as -o edits" if several else "a PNG, such as -o edited.png"
        raise SettingsError(f"output {output!r} is not the name of {wanted}")
    check_parent(path)
    refuse_inputs(_there(path) if several else [path], [Path(image), *edit.files.values()])
    made = {"edited": hash_of_file(Path(image)), "edit": published_edit(edit)}
    if not overwrite:
        _check_free(path, made, several)

    models = loaded(options, edit)

    from pipelines.edit.painting import Kit, as_levels
    from pipelines.job.keyframe import sized
    from pipelines.tasks.progress import Meter

    keyframe, sizes = sized(image, models.model.geometry, options.size, options.model_size)
    log.warning("%s", models.said)
    for notice in keyframe.notices:
        log.warning("%s", notice)
    numbers = edit.numbers
    steps = options.steps_out
    amounts = [numbers.amount] if steps is None else [numbers.amount * n / (steps - 1) for n in range(steps)]
    edits = [replace(edit, numbers=replace(numbers, seed=numbers.seed + n)) for n in range(options.count)]
    planned = {"edit": edit.forwards(len(amounts) * len(edits))}
    kit = Kit(models.model, models.perception, models.clip)
    with bar(planned) as callback:
        meter = Meter(planned, callback)
        pictures = [
            picture for one in edits for picture in kit.painted(keyframe, one, sizes.model, "crop", meter, amounts)
        ]
    recipe = json.dumps(
        {"morph": version(), "image": published(image), **made, "model": published(models.model.name)}
        | {"weights": models.weights, "device": str(models.device), "dtype": models.dtype}
        | {"size": list(sizes.frame), "model_size": list(sizes.model)}
    )
    if several:
        with FrameFolder(path, comment=recipe, replace=range(FIRST_FRAME, 10**7)) as stills:
            for picture in pictures:
                stills.write(as_levels(picture))
    else:
        write_png(path, as_levels(pictures[0]), recipe)
    return Edited(output, len(pictures), models.model.name, sizes.frame, sizes.model)


def loaded(options: EditOptions, edit: Edit) -> Models:
    """What an edit is made with.

    Raises:
        ModelError: it cannot be loaded.
        SettingsError: directions, and what they need is not named.
    """
    check_directions(edit)
    from pipelines.tasks.models import Models, quiet_libraries

    quiet_libraries()
    where = {"device": options.device, "dtype": options.dtype}
    return Models.from_pretrained(options.model, **where, offload=options.offload, edits=edit.how.instructs)


def check_numbers(edit: Edit, options: EditOptions) -> None:
    """Refuse numbers of pictures that mean nothing.

    Raises:
        SettingsError: with what does.
    """
    if options.steps_out is not None and not 2 <= options.steps_out <= 1000:
        raise SettingsError(f"steps-out is {options.steps_out}; it must be from 2 to 1000")
    if not 1 <= options.count <= 1000:
        raise SettingsError(f"count is {options.count}; it must be from 1 to 1000")
    if options.count > 1 and options.steps_out is not None:
        raise SettingsError("count asks for several edits, and steps-out for the way to one: leave one of them out")


def _check_free(path: Path, made: Mapping[str, Any], several: bool) -> None:
    def known(recipe: Mapping[str, Any]) -> bool:
        return all(recipe.get(key) == value for key, value in made.items())

    if not several:
        check_file(path, known)
    elif path.is_dir() and (numbers := sorted(frame_numbers(path))):
        check_file(StillPattern.parse(path).path(numbers[0]), known)
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ExistsError(f"{path}: is there already, and something else made it: {REMEDY}")


def _there(folder: Path) -> list[Path]:
    """The pictures of a folder that give way when others are written into it."""
    return [StillPattern.parse(folder).path(n) for n in frame_numbers(folder)] if folder.is_dir() else []


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write over what an edit is made from.

    Raises:
        SettingsError: an output is an input.
    """
    there = [file for file in inputs if file.exists()]
    for path in outputs:
        for file in there:
            if path.exists() and path.samefile(file):
                raise SettingsError(f"output {str(path)!r} is the input {str(file)!r} itself; name another file")
