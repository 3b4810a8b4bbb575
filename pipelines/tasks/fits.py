"""What is learnt of each of a clip's keyframes: made once, and kept under the hash of all that it depends on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from morph.diffusion.lora import Lora as LoraUpdate
from morph.diffusion.textual_inversion import Embeddings
from morph.errors import MorphError
from pipelines.between.keyframes import FittedKeyframe, fit_keyframes, invert_keyframes
from pipelines.request.fitting import Lora
from pipelines.request.settings import Settings, deciding, naming
from pipelines.request.ways import captures, is_joint
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
        alone = [way for way in bench.plan.ways if not is_joint(way)]
        self._adapted, self._inverted = bool(alone), any(map(captures, alone))

    def fit(self, numbers: Sequence[int], texts: Embeddings) -> list[str]:
        """Fit and invert the keyframes of these numbers, unless they are kept; the names of all of them.

        Each is fitted by itself and kept at once: a fit is the same whatever else a clip has.
        """
        names = [self._name(number, texts) for number in numbers]
        different = dict(zip(names, numbers, strict=True))  # the same keyframe twice is fitted once
        for name, number in different.items():
            if self._kept(name) is None:
                fitted = self._bench.batches.alone(partial(self._fitted, number, texts))
                self._bench.store.save({name: (fitted.packed(), {})})
        return names

    def _fitted(self, number: int, texts: Embeddings) -> FittedKeyframe:
        bench, model, keyframe = self._bench, self._model, self._keyframes[number]
        settings, embeddings = self._settings(number), Embeddings(texts.conditions[[number]], texts.negative)
        detector = bench.models.detector(settings)
        pixels = bench.pictures.pixels(number)
        (fitted,) = fit_keyframes(
            model, pixels, embeddings, settings, bench.progress, detector, self._published(number)
        )
        if fitted.pose == ():
            log.warning("%s: nobody was found, so no pose guides the frames", keyframe.image)
        if self._inverted:
            (fitted,) = invert_keyframes(model, [fitted], settings, bench.progress, [0.0])
        return fitted

    def _settings(self, number: int) -> Settings:
        """Those of a keyframe, without a LoRA where each way has one for both its ends."""
        settings = self._keyframes[number].settings
        return settings if self._adapted else replace(settings, lora=Lora(steps=0))

    def load(self, number: int, name: str) -> FittedKeyframe:
        """The fitted keyframe of a number, which is kept under a name.

        Raises:
            MorphError: it is gone, or damaged.
        """
        kept = self._kept(name)
        if kept is None:
            raise MorphError(f"fitted keyframe {name} was removed or damaged while in use; run the command again")
        return replace(kept, published=self._published(number))

    def _published(self, number: int) -> tuple[LoraUpdate, ...]:
        """The denoiser's part of the LoRAs that a keyframe was given."""
        return tuple(self._bench.models.published(entry).denoiser for entry in self._keyframes[number].loras)

    def _kept(self, name: str) -> FittedKeyframe | None:
        def unpack(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> FittedKeyframe:
            fitted = FittedKeyframe.unpacked(tensors, self._model, self._bench.plan.sizes.model)
            if self._inverted and fitted.noise is None:
                raise ValueError("it was not inverted")
            return fitted

        return self._bench.store.load(name, unpack)

    def _name(self, number: int, texts: Embeddings) -> str:
        settings, model = self._settings(number), self._model
        embeddings = Embeddings(texts.conditions[[number]], texts.negative).packed()
        content = hash_of(self._bench.pictures.pixels(number), *embeddings.values())
        decisive = {key: value for key, value in deciding(settings, "fit").items() if key not in naming("size")}
        steps = settings.steps if self._inverted else None
        loras = self._keyframes[number].loras
        published = [(self._bench.models.published(entry).digest, entry.weight) for entry in loras]
        given = [published] if loras else []
        where = str(model.dtype), model.device.type
        return key_of(VERSIONS, model.fingerprint, *where, content, decisive, steps, *given)
