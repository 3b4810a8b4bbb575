"""One picture edited, to its file, or to the pictures of the edit's own way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import ExistsError, SettingsError
from morph.installed import version
from morph.media.image import read_image
from morph.media.kinds import FILMS, OTHER_PICTURES, PICTURES, RAW
from morph.media.pattern import StillPattern
from morph.media.recipe import published
from morph.media.stills import FIRST_FRAME, FrameFolder, check_folder, check_parent, frame_numbers, write_png
from pipelines.job.needs import check_edit, check_editable
from pipelines.output.existing import REMEDY, check_file, refuse_inputs
from pipelines.request.contents import hash_of_file
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import draws, suited
from pipelines.request.edits.mask import shape_notices
from pipelines.request.recipe import published_edit
from pipelines.tasks.progress import Callback

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.diffusion.offload import Offload
    from pipelines.request.sizes import Sizes
    from pipelines.tasks.models import Models

_FRAMES = range(FIRST_FRAME, 10**7)
"""Numbers of frames that give way to those of an edit."""
MOST = 1000
"""Edits of one picture, each made and written before the next."""
MOST_ON_THE_WAY = 100
"""Pictures on the way to an edit, which are painted at once: they share an inversion and a fit."""
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
    edit.check_offload(options.offload)
    if several == (path.suffix.lower() == ".png") or (path.is_dir() and not several):
        wanted = "the folder for several pictures, such as -o edits" if several else "a PNG, such as -o edited.png"
        raise SettingsError(f"output {output!r} is not the name of {wanted}")
    if several and path.suffix.lower() in (*PICTURES, *OTHER_PICTURES, *RAW, *FILMS):
        raise SettingsError(
            f"output {output!r} is to be a folder of several pictures: name it without {path.suffix}"
        )
    check_parent(path)
    refuse_inputs(path, [Path(image), *edit.files.values()], path if several else None)
    source = hash_of_file(Path(image))  # before a model is fetched
    edit = suited(edit, options.model)
    if options.count > 1 and not draws(edit, options.model):
        raise SettingsError(
            f"edit {edit.how.name} draws nothing by its seed here, so all would be the same: leave out count"
        )
    made: dict[str, Any] = {"edited": source, "edit": published_edit(edit)}
    if not overwrite:
        _check_free(path, made, several)
    if several:
        check_folder(path, replace=_FRAMES)

    picture = read_image(image)  # and what else is looked at: what is no picture is told before models are loaded
    for file in filter(None, (edit.mask, edit.reference)):
        read_image(file)
    models = loaded(options, edit)

    from pipelines.edit.painting import Kit, as_levels
    from pipelines.job.keyframe import sized_picture
    from pipelines.tasks.progress import Meter

    keyframe, sizes = sized_picture(picture, image, models.model.geometry, options.size, options.model_size)
    made |= made_by(models, sizes)
    if not overwrite:  # what is told apart by these is known only now
        _check_free(path, made, several)
    log.warning("%s", models.said)
    numbers = edit.numbers
    steps = options.steps_out
    amounts = [numbers.amount] if steps is None else [numbers.amount * n / (steps - 1) for n in range(steps)]
    edits = [replace(edit, numbers=replace(numbers, seed=numbers.seed + n)) for n in range(options.count)]
    kit = Kit(models.model, models.perception, models.clip)
    for notice in (*keyframe.notices, *shape_notices(edit, picture.size), *kit.notices(edit, amounts)):
        log.warning("%s", notice)
    planned = {"edit": len(edits) * kit.forwards(edit, amounts)}
    where = {"device": str(models.device), "dtype": models.dtype}
    recipe = json.dumps({"morph": version(), "image": published(image), **made, **where})
    with bar(planned) as callback:
        meter = Meter(planned, callback)
        made_one_by_one = (kit.painted(keyframe, one, sizes.model, "crop", meter, amounts) for one in edits)
        pictures = (as_levels(edited) for painted in made_one_by_one for edited in painted)
        first = next(pictures)  # before anything gives way to it
        if several:
            with FrameFolder(path, comment=recipe, replace=_FRAMES) as stills:
                for levels in chain([first], pictures):
                    stills.write(levels)
        else:
            write_png(path, first, recipe)
    return Edited(output, len(amounts) * len(edits), models.model.name, sizes.frame, sizes.model)


def made_by(models: Models, sizes: Sizes) -> dict[str, Any]:
    """What of a recipe says which model made an edit, and at which sizes."""
    sides = {"size": list(sizes.frame), "model_size": list(sizes.model)}
    return {"model": published(models.model.name), "weights": models.weights, **sides}


def loaded(options: EditOptions, edit: Edit) -> Models:
    """What an edit is made with.

    Raises:
        ModelError: it cannot be loaded.
        SettingsError: directions, and what they need is not named.
    """
    check_edit(edit, options.model)
    check_editable(options.model, edit.how.instructs)
    from pipelines.tasks.models import Models, quiet_libraries

    quiet_libraries()
    where = {"device": options.device, "dtype": options.dtype}
    return Models.from_pretrained(options.model, **where, offload=options.offload, edits=edit.how.instructs)


def check_numbers(edit: Edit, options: EditOptions) -> None:
    """Refuse numbers of pictures that mean nothing, or are all the picture itself.

    Raises:
        SettingsError: with what does.
    """
    if options.steps_out is not None and not 2 <= options.steps_out <= MOST_ON_THE_WAY:
        raise SettingsError(f"steps-out is {options.steps_out}; it must be from 2 to {MOST_ON_THE_WAY}")
    if options.steps_out is not None and not edit.numbers.amount:
        raise SettingsError(
            "amount is 0, so all on the way would be the picture itself: leave out steps-out or amount"
        )
    if not 1 <= options.count <= MOST:
        raise SettingsError(f"count is {options.count}; it must be from 1 to {MOST}")
    if options.count > 1 and options.steps_out is not None:
        raise SettingsError("count asks for several edits, and steps-out for the way to one: leave one of them out")


def _check_free(path: Path, made: Mapping[str, Any], several: bool) -> None:
    def known(recipe: Mapping[str, Any]) -> bool:
        return all(recipe.get(key) == value for key, value in made.items())

    if not several:
        check_file(path, known)
    elif path.is_dir() and (numbers := sorted(frame_numbers(path))):
        for number in {numbers[0], numbers[-1]}:
            check_file(StillPattern.parse(path).path(number), known)
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ExistsError(f"{path}: is there already, and something else made it: {REMEDY}")
