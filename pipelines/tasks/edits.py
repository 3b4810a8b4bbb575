"""The edited images of a clip: made once, and kept under the hash of all that they were made from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from morph.media.keyframe import Keyframe, to_levels
from pipelines.between.keyframes import Progress
from pipelines.edit.painting import Kit, identity
from pipelines.request.edits.edit import Edit
from pipelines.request.plan import Plan
from pipelines.tasks.facts import VERSIONS
from pipelines.tasks.memory import Batches
from pipelines.tasks.models import Models
from pipelines.tasks.store import FITS, Store, hash_of, key_of

log = logging.getLogger("morph")


class Edits:
    """Edits a clip's keyframes; what it makes is kept in ``folder``, that of the job."""

    def __init__(self, models: Models, plan: Plan, folder: Path, progress: Progress) -> None:
        self._models = models
        self._plan = plan
        self._store = Store(folder / FITS)
        self._progress = progress

    def edited(self, number: int, keyframe: Keyframe) -> Keyframe:
        """The keyframe of a number as its edits leave it, each on what the one before it made.

        Raises:
            InputError: a file that an edit names cannot be used, or the model cannot do it.
        """
        for edit in self._plan.clip.keyframes[number].edits:
            keyframe = self._once(keyframe, edit, number)
        return keyframe

    def _once(self, keyframe: Keyframe, edit: Edit, number: int) -> Keyframe:
        models, size = self._models, self._plan.sizes.model
        fit = self._plan.clip.keyframes[number].settings.fit
        decisive = hash_of(keyframe.pixels), keyframe.depth, size, fit, identity(edit, models.clip)
        key = key_of("edit", VERSIONS, models.weights, models.dtype, models.device.type, *decisive)

        def unpack(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> Tensor:
            if tensors["edited"].shape != keyframe.pixels.shape:
                raise ValueError("it is a picture of another size")
            return tensors["edited"].float()

        pixels = self._store.load(key, unpack)
        if pixels is None:
            kit = Kit(models.model, models.perception, models.clip)
            for notice in kit.notices(edit):
                log.warning("%s", notice)
            painted = partial(kit.painted, keyframe, edit, size, fit, self._progress)
            (made,) = Batches(models.model, 1).alone(lambda: list(painted()))
            # as a file of its depth would hold it: the clip's ends are this to the bit
            levels = torch.from_numpy(to_levels(made.pixels, keyframe.depth).astype("float32"))
            pixels = (levels / ((2**keyframe.depth - 1) / 2) - 1).permute(0, 3, 1, 2).contiguous()
            self._store.save({key: ({"edited": pixels}, {})})
        return replace(keyframe, pixels=pixels)
