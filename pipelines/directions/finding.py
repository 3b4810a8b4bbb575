"""Who carries out each way of finding directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Generator as Steps
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from morph.directions.boundary import apart, classified, extremes, separated
from morph.directions.card import Found, parse_direction
from morph.directions.changes import CHANGES
from morph.directions.closed_form import factorized
from morph.directions.descent import Fit
from morph.directions.directions import Directions, Straight, check_spread, straight
from morph.directions.ganalyze import ganalyze
from morph.directions.generator import BATCH, Generator, Points, Scorer, pictures_of, scores_of
from morph.directions.lowrank import answers, regional
from morph.directions.pca import principal
from morph.directions.regressor import regressed
from morph.directions.scorers import as_share, by_pictures, by_texts
from morph.directions.steerability import steer
from morph.directions.unsupervised import unsupervised
from morph.directions.warped import warped
from morph.errors import SettingsError
from morph.perception.clip import CLIP, load_clip
from morph.perception.lpips import PerceptualDistance
from pipelines.directions.asked import FitAsked
from pipelines.directions.methods import (
    AcrossBoundary,
    Classifier,
    ClosedForm,
    Descent,
    Ganalyze,
    Method,
    Pca,
    Region,
    Regressor,
    Steer,
    Unsupervised,
    Warped,
)
from pipelines.directions.spaces import pictures_from
from pipelines.edit.painting import mask_of
from pipelines.manifest.folder import pictures

Tell = Callable[[int, int], None]
"""Told how many steps are done, of how many."""
T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """Directions, what is known of each, and what was measured."""

    directions: Directions
    labels: tuple[str, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)


def find(
    generator: Generator, points: Points, asked: FitAsked, tell: Tell, apart_from: Sequence[Tensor] = ()
) -> Result:
    """Directions from the places that they start from; they have nothing of ``apart_from``, see :func:`others`.

    Raises:
        SettingsError: too few places, or too many directions.
        ModelError: a space in which there is no such direction.
    """
    if not isinstance(asked.method, ClosedForm | Region) and not asked.folders:
        check_spread(points.codes)
    result = FINDERS[type(asked.method)](generator, points, asked.method, asked, tell)
    if not apart_from:
        return result
    assert isinstance(result.directions, Straight)  # see others
    found = result.directions
    vectors = torch.stack([apart(vector, list(apart_from)) for vector in found.vectors])
    kept = (vectors * found.vectors.to(vectors)).sum(1)  # of their length: as much of a unit is left
    return Result(Straight(vectors, found.scales * kept.to(found.scales)), result.labels, result.numbers)


def others(generator: Generator, asked: FitAsked) -> list[Tensor]:
    """The directions that those which are found are to have nothing of.

    Raises:
        InputError: one is not there, is of another space, or bends.
    """
    if asked.apart and isinstance(asked.method, Warped):
        raise SettingsError(f"directions of {asked.method.name} bend: nothing can be kept apart from them")
    return [_other(generator, text) for text in asked.apart]


def _other(generator: Generator, text: str) -> Tensor:
    path, number = parse_direction(text)
    found = Found.load(path)
    found.check(generator, path)
    if not isinstance(found.directions, Straight):
        raise SettingsError(f"directions {path} bend: nothing can be kept apart from them")
    return found.directions.vectors[found.number(number)]


def _pca(generator: Generator, points: Points, method: Pca, asked: FitAsked, tell: Tell) -> Result:
    directions, shares = principal(points.codes, asked.count)
    return Result(
        directions, tuple(f"{share:.1%}" for share in shares.tolist()), {"explained": float(shares.sum())}
    )


def _closed_form(generator: Generator, points: Points, method: ClosedForm, asked: FitAsked, tell: Tell) -> Result:
    vectors, values = factorized(generator.weights(), asked.count)
    return Result(straight(vectors, points.codes), tuple(f"{value:.2f}" for value in values.tolist()))


def _two_kinds(
    generator: Generator, points: Points, share: float, asked: FitAsked, tell: Tell
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes that have something, codes that lack it, and all that are known."""
    if asked.folders:
        having, lacking = map(generator.coded, _groups(generator, asked))
        return having, lacking, torch.cat([points.codes, having, lacking])
    scores = scores_of(_scorer(generator, asked), _made(generator, points, tell)).cpu()
    having, lacking = (points.codes[rows] for rows in extremes(scores, share))
    return having, lacking, points.codes


def _classifier(generator: Generator, points: Points, method: Classifier, asked: FitAsked, tell: Tell) -> Result:
    having, lacking, known = _two_kinds(generator, points, method.share, asked, tell)
    found = classified(having, lacking, asked.seed, method.decay, method.sparsity)
    numbers = {"accuracy": found.accuracy, "having": len(having), "lacking": len(lacking)}
    numbers |= {"moved": int((found.normal != 0).sum()), "of": len(found.normal)}
    return Result(straight(found.normal[None], known, signed=True), (_what(asked),), numbers)


def _across_boundary(
    generator: Generator, points: Points, method: AcrossBoundary, asked: FitAsked, tell: Tell
) -> Result:
    having, lacking, known = _two_kinds(generator, points, method.share, asked, tell)
    found = separated(having, lacking, asked.seed, method.penalty)
    numbers = {"accuracy": found.accuracy, "having": len(having), "lacking": len(lacking)}
    return Result(straight(found.normal[None], known, signed=True), (_what(asked),), numbers)


def _steer(generator: Generator, points: Points, method: Steer, asked: FitAsked, tell: Tell) -> Result:
    fit = _fit(method, asked)
    found, losses = _run(steer(generator, points, CHANGES[method.change], fit), fit, tell)
    return Result(found, (method.change,), losses)


def _ganalyze(generator: Generator, points: Points, method: Ganalyze, asked: FitAsked, tell: Tell) -> Result:
    fit, share = _fit(method, asked), as_share(_scorer(generator, asked), pictures_of(generator, points))
    found, losses = _run(ganalyze(generator, points, share, fit, method.reach), fit, tell)
    return Result(found, (_what(asked),), losses)


def _regressor(generator: Generator, points: Points, method: Regressor, asked: FitAsked, tell: Tell) -> Result:
    fit, share = _fit(method, asked), as_share(_scorer(generator, asked), pictures_of(generator, points))
    perception = PerceptualDistance().to(points.codes.device)
    steps = regressed(generator, points, share, perception, fit, method.content, method.realism)
    found, losses = _run(steps, fit, tell)
    return Result(found, (_what(asked),), losses)


def _unsupervised(
    generator: Generator, points: Points, method: Unsupervised, asked: FitAsked, tell: Tell
) -> Result:
    fit, reach = _fit(method, asked), (min(method.least, method.most), method.most)
    if isinstance(method, Warped):
        ways = warped(generator, points, asked.count, method.dipoles, reach, method.weight, fit)
        (bent, _, right), losses = _run(ways, fit, tell)
        return Result(bent, (), {**losses, "accuracy": right})
    steps = unsupervised(generator, points, asked.count, reach, method.weight, fit)
    (found, _, right), losses = _run(steps, fit, tell)
    return Result(found, (), {**losses, "accuracy": right})


def _region(generator: Generator, points: Points, method: Region, asked: FitAsked, tell: Tell) -> Result:
    if asked.mask is None:
        raise SettingsError("region needs a mask: give --mask")
    size = generator.settings["size"]
    mask = mask_of(asked.mask, (size[0], size[1]), "crop").cpu()
    basis, _ = principal(points.codes, method.basis)
    chosen = points[: method.points]
    step = 0.5 * float(basis.scales.mean())
    planned, done = 2 * len(basis) * len(chosen), 0
    steps = answers(generator, chosen, basis.vectors, mask, step)
    while True:
        try:
            done += next(steps)
        except StopIteration as stop:
            inner, rest = stop.value
            break
        tell(done, planned)
    found = regional(inner, rest, basis.vectors, asked.count, method.sparsity, method.kept)
    return Result(straight(found.vectors, points.codes), (), {"rank of the rest": found.rank, "basis": len(basis)})


Finder = Callable[[Generator, Points, Any, FitAsked, Tell], Result]
FINDERS: dict[type[Method], Finder] = {
    Pca: _pca,
    ClosedForm: _closed_form,
    AcrossBoundary: _across_boundary,
    Classifier: _classifier,
    Steer: _steer,
    Ganalyze: _ganalyze,
    Unsupervised: _unsupervised,
    Warped: _unsupervised,
    Region: _region,
    Regressor: _regressor,
}


def _fit(method: Descent, asked: FitAsked) -> Fit:
    return Fit(method.fit_steps, method.batch, method.rate, asked.seed)


def _run(steps: Steps[float, None, T], fit: Fit, tell: Tell) -> tuple[T, dict[str, Any]]:
    """What a fit returns, and how its loss fell: the mean of its first and of its last tenth."""
    losses: list[float] = []
    while True:
        try:
            losses.append(next(steps))
        except StopIteration as stop:
            tenth = max(1, len(losses) // 10)
            told = {"loss at first": _mean(losses[:tenth]), "loss at last": _mean(losses[-tenth:])}
            return stop.value, told
        tell(len(losses), fit.steps)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(1, len(values)), 6)


def _made(generator: Generator, points: Points, tell: Tell) -> Tensor:
    """The pictures of places, told of as they are made."""
    made = []
    for start in range(0, len(points), BATCH):
        made.append(pictures_of(generator, points[start : start + BATCH]))
        tell(min(start + BATCH, len(points)), len(points))
    return torch.cat(made)


def _groups(generator: Generator, asked: FitAsked) -> list[Tensor]:
    """Pictures that have something, and that lack it."""
    size = generator.settings["size"]
    return [pictures_from(pictures(folder), (size[0], size[1])) for folder in asked.folders or ()]


def _scorer(generator: Generator, asked: FitAsked) -> Scorer:
    clip: CLIP = load_clip(asked.clip)
    if asked.texts:
        return by_texts(clip, *asked.texts)
    having, lacking = _groups(generator, asked)
    return by_pictures(clip, having, lacking, asked.seed)


def _what(asked: FitAsked) -> str:
    if asked.texts:
        return asked.texts[0]
    return asked.folders[0].name if asked.folders else ""
