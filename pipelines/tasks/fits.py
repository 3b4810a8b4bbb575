"""What is learnt of a clip's keyframes: made once, and kept under the hash of all that it depends on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from morph.diffusion.textual_inversion import Embeddings
from morph.errors import MorphError
from pipelines.between.keyframes import FittedKeyframe, fit_keyframes, invert_keyframes
from pipelines.request.settings import deciding, naming
from pipelines.request.ways import captures
from pipelines.tasks.facts import VERSIONS
from pipelines.tasks.store import hash_of, key_of
from pipelines.tasks.workbench import Workbench

log = logging.getLogger("morph")


class Fits:
    """The fitted keyframes of a clip."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._model = bench.models.model
        self._keyframes = bench.plan.clip.keyframes
        self._inverted = any(map(captures, bench.plan.ways))

    def fit(self, numbers: Sequence[int], texts: Embeddings) -> list[str]:
        """Fit and invert the keyframes of these numbers, unless they are kept; the names of all of them.

        They are fitted side by side, so their settings of LoRA must be the same.
        """
        settings = self._keyframes[numbers[0]].settings
        names = [self._name(number, texts) for number in numbers]
        index_of = {name: index for index, name in enumerate(names) if self._bench.store.load(name) is None}
        missing = list(index_of.values())  # the same keyframe twice is fitted once

        def run(indices: Sequence[int]) -> list[FittedKeyframe]:
            batch = [numbers[index] for index in indices]
            pixels = torch.cat([self._bench.pictures.pixels(number) for number in batch])
            embeddings = Embeddings(texts.conditions[batch], texts.negative)
            detector = self._bench.models.detector(settings)
            fitted = fit_keyframes(self._model, pixels, embeddings, settings, self._bench.progress, detector)
            for number in (number for number, keyframe in zip(batch, fitted, strict=True) if keyframe.pose == ()):
                log.warning("%s: nobody was found, so no pose guides the frames", self._keyframes[number].image)
            if self._inverted:
                fitted = invert_keyframes(self._model, fitted, settings, self._bench.progress, [0.0] * len(fitted))
            return fitted

        fits = zip(missing, self._bench.batches.each(run, missing), strict=True)
        self._bench.store.save({names[index]: (keyframe.packed(), {}) for index, keyframe in fits})
        return names

    def load(self, name: str) -> FittedKeyframe:
        """The fitted keyframe that is kept under a name.

        Raises:
            MorphError: it is gone, or damaged.
        """
        kept = self._bench.store.load(name)
        if kept is None:
            raise MorphError(f"fitted keyframe {name} was removed or damaged while in use; run the command again")
        return FittedKeyframe.unpacked(kept[0], self._model.device)

    def _name(self, number: int, texts: Embeddings) -> str:
        settings, model = self._keyframes[number].settings, self._model
        embeddings = Embeddings(texts.conditions[[number]], texts.negative).packed()
        content = hash_of(self._bench.pictures.pixels(number), *embeddings.values())
        decisive = {key: value for key, value in deciding(settings, "fit").items() if key not in naming("size")}
        steps = settings.steps if self._inverted else None
        return key_of(VERSIONS, model.fingerprint, str(model.dtype), model.device.type, content, decisive, steps)
