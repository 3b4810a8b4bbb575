"""A film edited frame by frame, with one noise for all, so that it does not flicker."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import InputError, SettingsError
from morph.installed import version
from morph.media.carried import Carried
from morph.media.footage import Footage, open_footage
from morph.media.image import StillImage, read_image
from morph.media.pattern import StillPattern, is_stills
from morph.media.recipe import published, write_recipe
from morph.media.target import Stream
from pipelines.job.edit import Edited, EditOptions, loaded, made_by
from pipelines.output.existing import check_free, holds_recipe, numbers_there, refuse_inputs
from pipelines.output.outputs import RECIPE, Output, beside
from pipelines.output.unfinished import sole_writer
from pipelines.request.contents import hash_of_file
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import suited
from pipelines.request.edits.mask import shape_notices
from pipelines.request.encode import Encode
from pipelines.request.recipe import published_edit

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from pipelines.tasks.progress import Bar

_ANY_SIZE = (1280, 720)
"""Width and height that every codec takes."""
log = logging.getLogger("morph")


def edit_film(
    film: str, output: str, edit: Edit, options: EditOptions, bar: Bar, overwrite: bool = False
) -> Edited:
    """Edit every frame of a film, each from the same noise; sound and what else is in it go along.

    overwrite: what is there gives way; without, only what the same edit of the same film has made before does.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: a film or a model that cannot be used, or a file that cannot be written.
        EncodeError: ffmpeg failed, or the disk refused.
    """
    if options.steps_out is not None or options.count > 1:
        raise SettingsError("a film is edited once: leave out --steps-out and --count")
    edit.check_offload(options.offload)
    if os.path.exists(output) and os.path.samefile(film, output):
        raise SettingsError(f"output {output!r} is the film itself; name another")
    stills = StillPattern.parse(output) if is_stills(output) else None
    refuse_inputs(Path(output), list(edit.files.values()), stills)
    footage = open_footage(film)
    if footage.times.fps is None:
        raise SettingsError(f"{film}: its frames come at uneven times; give it a rate first, by morph interpolate")
    rate, count = footage.times.fps, len(footage.times.starts)
    carried = Carried.of(footage.film, Path(output), rate) if footage.film else None
    encode = Encode(odd="pad", timecode=carried.timecode if carried else "")
    trial = Output.of(Path(output), Stream(_ANY_SIZE, rate, count), encode, carried)
    giving = numbers_there(trial, from_start=True)
    trial.check(giving)
    source = hash_of_file(Path(film))  # before a model is fetched
    edit = suited(edit, options.model)
    made: dict[str, Any] = {"edited": source, "edit": published_edit(edit)}

    def known(recipe: Mapping[str, Any]) -> bool:
        return all(recipe.get(key) == value for key, value in made.items())

    if not overwrite:
        check_free(trial, known)
    for notice in footage.notices:
        log.warning("%s", notice)
    for picture in filter(None, (edit.mask, edit.reference)):
        read_image(picture)  # what is no picture is told before models are loaded
    models = loaded(options, edit)

    from pipelines.edit.painting import Kit, as_levels
    from pipelines.job.keyframe import sized_picture
    from pipelines.tasks.progress import Meter

    frames = _read(footage, film)
    first = next(frames)
    _, sizes = sized_picture(first, film, models.model.geometry, options.size, options.model_size)
    made |= made_by(models, sizes)
    if not overwrite:  # what is told apart by these is known only now
        check_free(trial, known)
    kit = Kit(models.model, models.perception, models.clip)
    for notice in (models.said, *shape_notices(edit, first.size), *kit.notices(edit)):
        log.warning("%s", notice)
    planned = {"edit": count * kit.forwards(edit)}
    where = {"device": str(models.device), "dtype": models.dtype}
    recipe = {"morph": version(), "film": published(film), **made, **where}
    stream = Stream(sizes.frame, rate, count, aspect=footage.aspect)
    file, recipe_file = replace(trial, stream=stream), beside(Path(output), RECIPE)
    file.check(giving)
    file.tell()
    size = "x".join(map(str, sizes.frame))
    with sole_writer(file.path, (file.folder, recipe_file.parent)) as mark:
        with bar(planned) as callback, file.open(json.dumps(recipe), giving, mark) as writer:
            meter = Meter(planned, callback)
            for frame in chain([first], frames):
                keyframe, _ = sized_picture(frame, film, models.model.geometry, size, options.model_size)
                (edited,) = kit.painted(keyframe, edit, sizes.model, "crop", meter)
                writer.write(as_levels(edited))
        if not holds_recipe(file.path):
            write_recipe(recipe_file, recipe, mark)
    return Edited(output, count, models.model.name, sizes.frame, sizes.model)


def _read(footage: Footage, film: str) -> Iterator[StillImage]:
    """The frames of a film as pictures, one at a time.

    Raises:
        InputError: there is none.
    """
    empty = True
    for frame in footage.frames:
        empty = False
        yield StillImage(frame, None, ())
    if empty:
        raise InputError(f"{film}: has no frame")
