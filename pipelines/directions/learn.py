"""A space of a folder's own pictures, learnt and written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morph.errors import ExistsError, ModelError, SettingsError
from morph.media.stills import check_parent
from pipelines.directions.spaces import pictures_from
from pipelines.manifest.folder import pictures
from pipelines.output.existing import REMEDY
from pipelines.request.contents import hash_of_file
from pipelines.request.options.setting import Section, setting
from pipelines.request.options.values import keys
from pipelines.tasks.progress import Bar


@dataclass(frozen=True, kw_only=True)
class GloOptions(Section):
    """How a space is learnt."""

    side: int = setting(64, "Of pictures, in pixels: 32, 64 or 128.", 32, 128)
    numbers: int = setting(32, "Of a code.", 1, 512)
    width: int = setting(128, "Channels of the generator's first layer, a multiple of 8.", 8, 512)
    fit_steps: int = setting(600, "Steps of the fit.", 1, 1_000_000)
    batch: int = setting(16, "Pictures of a step.", 1, 1024)
    rate: float = setting(2e-3, "Learning rate of the generator.", 1e-7, 10)
    code_rate: float = setting(2e-2, "Learning rate of codes.", 1e-7, 10)
    seed: int = setting(0, "Of every random number.")


@dataclass(frozen=True)
class Learnt:
    """What was written, of how many pictures, and how far these are from what it makes of their codes.

    loss: by Laplacian pyramids, in the mean of the last tenth of the steps. error, of_the_mean: mean squared
    errors, values in [-1,1], of what is made of a picture's code, and of the mean of all pictures.
    """

    output: str
    pictures: int
    loss: float
    error: float
    of_the_mean: float


def learn_file(folder: str, output: str, options: GloOptions, bar: Bar, overwrite: bool = False) -> Learnt:
    """Learn a space of a folder's pictures, and write it into the safetensors ``output``.

    overwrite: what is there gives way; without, only what was learnt of the same pictures in the same way does.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: something that was given cannot be used.
    """
    path = Path(output)
    if path.suffix != ".safetensors" or path.is_dir():
        raise SettingsError(f"output {output!r} is not the name of a space's file; write -o own.safetensors")
    if options.width % 8 or options.side not in (32, 64, 128):
        raise SettingsError("width is a multiple of 8, and side is 32, 64 or 128")
    check_parent(path)
    files = pictures(Path(folder))
    seen = hashlib.blake2b("".join(map(hash_of_file, files)).encode(), digest_size=16).hexdigest()
    learnt_from = {**keys(options), "pictures": seen}
    if not overwrite and os.path.lexists(path) and not _known(path, learnt_from):
        raise ExistsError(f"{path}: is there already, and something else made it: {REMEDY}")

    import torch

    from morph.directions import glo
    from morph.directions.generator import Points, pictures_of

    own = pictures_from(files, (options.side, options.side))
    losses: list[float] = []
    with bar({"learn": options.fit_steps}) as tell:
        steps = glo.fit(
            own,
            options.seed,
            numbers=options.numbers,
            width=options.width,
            steps=options.fit_steps,
            batch=options.batch,
            rate=options.rate,
            code_rate=options.code_rate,
        )
        while True:
            try:
                losses.append(next(steps))
            except StopIteration as stop:
                learnt = stop.value
                break
            tell("learn", len(losses), options.fit_steps, None)
    learnt.save(path, learnt_from)
    made = pictures_of(learnt, Points(learnt.codes))
    last = losses[-max(1, len(losses) // 10) :]
    error, of_the_mean = (float(torch.mean((guess - own) ** 2)) for guess in (made, own.mean(0)))
    return Learnt(output, len(files), sum(last) / len(last), error, of_the_mean)


def _known(path: Path, learnt_from: Mapping[str, Any]) -> bool:
    """Whether a file holds a space that was learnt in the same way."""
    from morph.directions import glo

    try:
        return bool(glo.learnt_from(path) == learnt_from)
    except ModelError:
        return False
