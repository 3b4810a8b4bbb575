"""What is fitted to both ends of a clip's ways at once: made once for two keyframes, there and back, and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from pipelines.between.joint import adaptive_rank, fit_jointly
from pipelines.between.keyframes import FittedKeyframe, invert_keyframes
from pipelines.request.settings import Settings, deciding, naming
from pipelines.request.ways import Way, captures, fits_jointly
from pipelines.tasks.store import key_of
from pipelines.tasks.workbench import Workbench

Named = tuple[str, FittedKeyframe]
"""A fitted keyframe and the name under which its fit is kept."""


class JointFits:
    """The ends of a clip's ways with what is fitted to both of them."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._model = bench.models.model

    def fitted(self, way: Way, ends: Sequence[Named]) -> list[Named]:
        """Both ends of a way with one LoRA, and inverted with it; as they are where none is to be fitted to both.

        They are fitted in the order of their names: the same, whichever of them the way begins with.
        """
        if not fits_jointly(way):
            return list(ends)
        ordered = sorted(dict(ends).items())
        names = [self._name(way, name, [one for one, _ in ordered]) for name, _ in ordered]
        kept = [self._kept(name, captures(way)) for name in names]
        found = [keyframe for keyframe in kept if keyframe is not None]
        if len(found) < len(names):
            keyframes = [keyframe for _, keyframe in ordered]
            # the same keyframe twice is two ends all the same
            both = [keyframes[0], keyframes[-1]]
            fitted = self._bench.batches.alone(partial(self._made, way, both))
            found = [fitted[0], fitted[-1]][: len(names)]
            packed = zip(names, found, strict=True)
            self._bench.store.save({name: (keyframe.packed(), {}) for name, keyframe in packed})
        made = {own: (name, keyframe) for (own, _), name, keyframe in zip(ordered, names, found, strict=True)}
        return [(made[own][0], replace(made[own][1], published=end.published)) for own, end in ends]

    def _made(self, way: Way, ends: Sequence[FittedKeyframe]) -> list[FittedKeyframe]:
        bench, model, settings = self._bench, self._model, way.settings
        rank = settings.lora.rank
        if settings.lora.adaptive:
            rank = adaptive_rank(model, ends, settings, bench.models.perception, bench.progress)
        fitted = fit_jointly(model, ends, settings, rank, bench.progress)
        if not captures(way):
            return fitted
        return [invert_keyframes(model, [end], settings, bench.progress, [0.0])[0] for end in fitted]

    def _kept(self, name: str, inverted: bool) -> FittedKeyframe | None:
        def unpack(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> FittedKeyframe:
            fitted = FittedKeyframe.unpacked(tensors, self._model, self._bench.plan.sizes.model)
            if fitted.lora is None or (inverted and fitted.noise is None):
                raise ValueError("it was not fitted, or not inverted")
            return fitted

        return self._bench.store.load(name, unpack)

    def _name(self, way: Way, own: str, both: Sequence[str]) -> str:
        """The name of the fit of an end: theirs have all that decided them before."""
        settings = way.settings
        decisive = {key: value for key, value in deciding(settings, "fit").items() if key not in naming("size")}
        path = _path_settings(settings) if settings.lora.adaptive else None
        return key_of("joint", both, decisive, settings.steps, captures(way), path, own)


def _path_settings(settings: Settings) -> Sequence[object]:
    """What decides the frames by which a rank is found, beyond what decides a fit."""
    return settings.infill.steps, settings.infill.guidance_most, settings.text, settings.pose.scale
