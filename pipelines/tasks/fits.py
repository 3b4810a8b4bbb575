"""What is learnt of a clip's keyframes: made once, and kept under the hash of all that it depends on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from morph.diffusion.textual_inversion import Embeddings
from morph.errors import MorphError
from pipelines.between.keyframes import FittedKeyframe, Progress, fit_keyframes, invert_keyframes
from pipelines.request.plan import Plan
from pipelines.request.settings import deciding, naming
from pipelines.request.ways import captures
from pipelines.tasks.facts import VERSIONS
from pipelines.tasks.memory import Batches
from pipelines.tasks.models import Models
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.store import Store, hash_of, key_of

log = logging.getLogger("morph")


class Fits:
    """The fitted keyframes of a clip, in ``store``."""

    def __init__(
        self, models: Models, plan: Plan, pictures: Pictures, store: Store, batches: Batches, progress: Progress
    ) -> None:
        self._models = models
        self._model = models.model
        self._keyframes = plan.clip.keyframes
        self._inverted = any(map(captures, plan.ways))
        self._pictures = pictures
        self._store = store
        self._batches = batches
        self._progress = progress

    def fit(self, numbers: Sequence[int], texts: Embeddings) -> list[str]:
        """Fit and invert the keyframes of these numbers, unless they are kept; the names of all of them.

        They are fitted side by side, so their settings of LoRA must be the same.
        """
        settings = self._keyframes[numbers[0]].settings
        names = [self._name(number, texts) for number in numbers]
        new = {name: at for at, name in enumerate(names) if self._store.load(name) is None}
        missing = list(new.values())  # the same keyframe twice is fitted once

        def run(part: Sequence[int]) -> list[FittedKeyframe]:
            rows = [numbers[at] for at in part]
            pixels = torch.cat([self._pictures.pixels(row) for row in rows])
            own = Embeddings(texts.conditions[rows], texts.negative)
            detector = self._models.detector(settings)
            made = fit_keyframes(self._model, pixels, own, settings, self._progress, detector)
            for row in (row for row, keyframe in zip(rows, made, strict=True) if keyframe.pose == ()):
                log.warning("%s: nobody was found, so no pose guides the frames", self._keyframes[row].image)
            if self._inverted:
                made = invert_keyframes(self._model, made, settings, self._progress, [0.0] * len(made))
            return made

        made = zip(missing, self._batches.each(run, missing), strict=True)
        self._store.save({names[at]: (fitted.packed(), {}) for at, fitted in made})
        return names

    def load(self, name: str) -> FittedKeyframe:
        """The fitted keyframe that is kept under a name.

        Raises:
            MorphError: it is gone, or damaged.
        """
        kept = self._store.load(name)
        if kept is None:
            raise MorphError(f"fitted keyframe {name} was removed or damaged while in use; run the command again")
        return FittedKeyframe.unpacked(kept[0], self._model.device)

    def _name(self, number: int, texts: Embeddings) -> str:
        settings, model = self._keyframes[number].settings, self._model
        content = hash_of(self._pictures.pixels(number), texts.conditions[number], texts.negative)
        how = {key: value for key, value in deciding(settings, "fit").items() if key not in naming("size")}
        steps = settings.steps if self._inverted else None
        return key_of(VERSIONS, model.fingerprint, str(model.dtype), model.device.type, content, how, steps)
