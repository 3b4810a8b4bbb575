"""The anchors of a clip's segments as knots: made and fitted, or found where they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from morph.blending.warp import Warp
from pipelines.between.anchors import Anchor, render_anchors
from pipelines.between.keyframes import FittedKeyframe
from pipelines.between.pair import Pair, guide_of
from pipelines.between.ranking import Chooser, candidate_sheet
from pipelines.between.rendered_way import CANDIDATES, Choice
from pipelines.between.segment import Knot, fit_anchors, unfitted
from pipelines.request.settings import Settings, look, naming
from pipelines.request.ways import Way, denoises
from pipelines.tasks.store import hash_of, key_of
from pipelines.tasks.workbench import Workbench


class Anchoring:
    """Makes the anchors of segments and keeps them; sheets of their candidates go to the job's folder.

    ``choose`` picks among an anchor's candidates in place of the ranking.
    """

    def __init__(self, bench: Workbench, choose: Chooser | None) -> None:
        self._bench = bench
        self._models = bench.models
        self._store = bench.store
        self._size = bench.plan.sizes.model
        self._sheets = bench.folder / CANDIDATES
        self._choose = choose
        self._chosen: dict[int, list[Knot]] = {}

    def knots(
        self,
        number: int,
        count: int,
        way: Way,
        ends: Sequence[tuple[str, FittedKeyframe]],
        warp: Warp | None = None,
    ) -> list[Knot]:
        """The anchors of segment ``number`` of ``count``, between two keyframes and the names of their fits.

        ``warp`` brings their parents into register.
        """
        if not way.anchors:
            return []
        if number not in self._chosen:
            (_, first), (_, second) = ends
            names = [name for name, _ in ends]
            pair = Pair.of(first, second, way.settings, warp=warp, guide=guide_of(self._models.model, way.settings))
            name = key_of(
                "anchors",
                "chosen" if self._choose else "ranked",
                _anchor_settings(way.settings),
                names,
                warp and hash_of(warp.control),
            )
            anchors = self._rendered(number, count, pair, way.settings, name)
            fitted = self._fitted(way, pair, anchors, name)
            knots = [
                Knot(anchor.alpha, keyframe, key_of(names, hash_of(anchor.latents)), anchor.choice)
                for anchor, keyframe in zip(anchors, fitted, strict=True)
            ]
            if not self._choose:
                return knots
            self._chosen[number] = knots  # nobody is asked twice
        return self._chosen[number]

    def _rendered(self, number: int, count: int, pair: Pair, settings: Settings, name: str) -> list[Anchor]:
        """The anchors' pictures, kept level by level."""
        ranker, model = self._models.ranker(settings), self._models.model

        def ask(alpha: float, candidates: Tensor, left: Tensor, right: Tensor) -> Choice:
            assert ranker  # where there is a choice
            scores = ranker.scores(candidates, left, right).tolist()
            pictures, position = (candidates, left, right), (number + alpha) / count
            chosen = self._choose(position, *pictures, scores) if self._choose else scores.index(max(scores))
            sheet = self._sheets / f"{name}-{alpha:.9f}.png"
            candidate_sheet(sheet, *pictures)
            return Choice(chosen, scores, sheet.name)

        def load(level: int) -> list[Anchor] | None:
            kept = self._store.load(f"{name}-{level}", unpack)
            return None if kept is None else [Anchor(at, z, model.decode(z), choice) for at, z, choice in kept]

        def unpack(
            tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
        ) -> list[tuple[float, Tensor, Choice | None]]:
            alphas = [float(alpha) for alpha in json.loads(metadata["alphas"])]
            choices = [choice and Choice(**choice) for choice in json.loads(metadata["choices"])]
            latents = tensors["latents"].to(model.device)
            if latents.shape[1:] != model.latent_shape(self._size):
                raise ValueError(f"latents {tuple(latents.shape)} are not the model's")
            return list(zip(alphas, latents.split(1), choices, strict=True))

        def save(level: int, anchors: Sequence[Anchor]) -> None:
            metadata = {
                "alphas": json.dumps([anchor.alpha for anchor in anchors]),
                "choices": json.dumps([anchor.choice and asdict(anchor.choice) for anchor in anchors]),
            }
            latents = torch.cat([anchor.latents for anchor in anchors])
            self._store.save({f"{name}-{level}": ({"latents": latents}, metadata)})

        def run(batch: int) -> list[Anchor]:
            keeping = () if self._choose else (load, save)  # what a person chooses may change from run to run
            return render_anchors(model, pair, replace(settings, batch=batch), ask, self._bench.progress, *keeping)

        return self._bench.batches.halving(run)

    def _fitted(self, way: Way, pair: Pair, anchors: Sequence[Anchor], name: str) -> list[FittedKeyframe]:
        """Anchors as keyframes, each fitted by itself and kept; their pictures alone where none are filled in."""
        model = self._models.model
        if not denoises(way):
            return [unfitted(model, pair, anchor) for anchor in anchors]

        return [self._fitted_one(way, pair, anchor, name) for anchor in anchors]

    def _fitted_one(self, way: Way, pair: Pair, anchor: Anchor, name: str) -> FittedKeyframe:
        model, key = self._models.model, f"{name}-{key_of(hash_of(anchor.latents))}"
        if kept := self._store.load(key, lambda tensors, said: FittedKeyframe.unpacked(tensors, model, self._size)):
            return replace(kept, published=pair.published(anchor.alpha))

        def run() -> FittedKeyframe:
            (fitted,) = fit_anchors(model, pair, [anchor], way.settings, self._bench.progress)
            return fitted

        fitted = self._bench.batches.alone(run)
        self._store.save({key: (fitted.packed(), {})})
        return fitted


def _anchor_settings(settings: Settings) -> dict[str, Any]:
    """What decides anchors besides their keyframes, whose pixels have a size already, and the field."""
    known = {*naming("size"), "align.points"}
    return {key: value for key, value in look(settings).items() if key not in known}
