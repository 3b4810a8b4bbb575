"""The text embeddings of a clip's keyframes: of their prompts, or fitted to their images."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch

from morph.diffusion.condition import Condition
from morph.diffusion.textual_inversion import Embeddings, origin_of
from pipelines.between.keyframes import fit_embeddings
from pipelines.tasks.store import key_of
from pipelines.tasks.workbench import Workbench


class Texts:
    """Embeds the prompts of a clip once; what textual inversion fits is kept, in ``file`` if there is one."""

    def __init__(self, bench: Workbench, file: Path | None = None) -> None:
        self._bench = bench
        self._model = bench.models.model
        self._clip = bench.plan.clip
        self._file = file
        self._known: Embeddings | None = None

    def embeddings(self) -> Embeddings:
        """Those of all keyframes; textual inversion fits them together, since they share a negative.

        Raises:
            SettingsError: a file of embeddings that were fitted to something else.
        """
        if self._known is None:
            settings = self._clip.settings
            prompts = [keyframe.prompt for keyframe in self._clip.keyframes]
            conditions = self._with_loras(self._model.embed(prompts))
            self._known = Embeddings(conditions, self._model.embed([settings.negative]))
            if settings.textual_inversion.steps:
                self._known = self._inverted(self._known, [*prompts, settings.negative])
        return self._known

    def _with_loras(self, conditions: Condition) -> Condition:
        """Those of the prompts, each by text encoders with its own keyframe's LoRAs."""
        if not any(keyframe.loras for keyframe in self._clip.keyframes):
            return conditions
        texts = conditions.split(1)
        for number, keyframe in enumerate(self._clip.keyframes):
            with ExitStack() as stack:
                for entry in keyframe.loras:
                    stack.enter_context(self._bench.models.published(entry).telling(self._model))
                texts[number] = self._model.embed([keyframe.prompt]) if keyframe.loras else texts[number]
        return Condition.cat(texts)

    def _inverted(self, start: Embeddings, prompts: list[str]) -> Embeddings:
        """Embeddings fitted from those of the prompts: read where they are kept, and otherwise made and kept."""
        settings, file = self._clip.settings, self._file
        images = torch.cat([self._bench.pictures.pixels(number) for number in range(len(self._clip.keyframes))])
        origin = origin_of(
            self._model, images, prompts, asdict(settings.textual_inversion) | {"seed": settings.seed}
        )
        if file and file.exists():
            return Embeddings.load(file, origin)

        def run() -> Embeddings:
            return fit_embeddings(self._model, images, start, settings, self._bench.progress)

        key = key_of(origin)
        kept = self._bench.store.load(key, lambda tensors, said: Embeddings.unpacked(tensors).like(start))
        texts = kept or self._bench.batches.alone(run)
        if not kept:
            self._bench.store.save({key: (texts.packed(), {})})
        if file:
            texts.save(file, origin)
        return texts
