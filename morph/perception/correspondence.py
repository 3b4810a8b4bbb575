"""Which place of one picture is which of another: a smooth field between them, found from what networks see.

The halfway domain is that of Liao et al., "Automating Image Morphing using Structural Similarity on a Halfway
Domain", 2014; see :mod:`morph.blending.warp`. In place of grey windows, dense features are compared, projected onto
what both pictures have in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.warp import Warp, basis, cells, extent_of, refined
from morph.perception.common import Sights, main_components, sides
from morph.perception.dense import Looker
from morph.perception.landmarks import Landmarks
from morph.perception.placement import RATIOS, Placement
from morph.perception.smooth import Fixed, LandmarkTerm, obedient, stiffness, unfolded

PLACES = 32
"""Places of the halfway picture at which the two are compared, along either side of a square."""
LEVELS = ((4, 0.02), (8, 0.01), (16, 0.005))
"""Intervals of the spline along a square's side, and Adam's rate, from coarse to fine."""
STEPS = 60
OUTSIDE, FOLDS, POINTS = 1.0, 10.0, 20.0
"""Weights of the terms beside unlikeness and stiffness."""
ROOM = 0.3
"""The det J below which a fold begins to cost."""
RATIO, LARGEST_RATIO = 1.4, 3.0
"""How many times as large things must be in one picture for both to be looked at again at sizes that make up for it
(what networks see of a thing depends on its size), and how much is made up for."""
CLOSER = 0.99
"""The share of the energy that this must bring it down to."""
TRUSTED = 0.4
"""The trust, in the mean of all places, below which parts of other sizes are looked for elsewhere."""
PLAINER = 1.4
"""How many times as well these have to match as the best ones of the same size."""
LIKELY = 2
"""How many sizes that do are tried at most."""
AS_SURE = 0.9
"""The share of the trust in the field without them that they must have: they leave less of the surroundings."""
MIRRORED = 0.85
"""The share of the energy that a mirrored picture may have at most to be named as the better match."""


@dataclass(frozen=True)
class Correspondence:
    """What was found between two pictures.

    before, after: the energy with nothing moved, and with the field. mirrored: the second picture would match far
    better flipped left to right. features: what was compared. landmarks: how many pairs of them helped. ratio: how
    many times as large things were taken to be in the second picture.
    """

    warp: Warp
    before: float
    after: float
    mirrored: bool
    features: str
    landmarks: int = 0
    ratio: float = 1.0

    @property
    def matched(self) -> float:
        """The share of places that are trusted by more than a half."""
        return float((self.warp.trust > 0.5).float().mean())


def find(
    first: Tensor,
    second: Tensor,
    look: Looker,
    points: Tensor | None = None,
    landmarks: Landmarks | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Correspondence:
    """The field between two pictures (1,3,H,W) in [-1,1] of one size.

    points: (N,4) places (xa, ya, xb, yb) that a person says are the same, in pixels of these pictures, 0 being the
    first one's centre; they are obeyed. landmarks: places that are probably the same; they help. tick: called
    before every step of the search; what it raises ends that.

    The pictures swapped give the negative field, bit for bit, unless they are the same.
    """
    height, width = first.shape[2:]
    swap = first.numpy(force=True).tobytes() > second.numpy(force=True).tobytes()  # one order for both directions
    if swap:
        first, second = second, first
        points = None if points is None else points[:, [2, 3, 0, 1]]
        landmarks = None if landmarks is None else landmarks.swapped()
    fixed = None if points is None else Fixed.of(points, (width, height))
    landmark_term = None if landmarks is None else LandmarkTerm.of(landmarks, (width, height))
    correspondence = _ordered_correspondence(first, second, look, fixed, landmark_term, tick)
    if not swap:
        return correspondence
    return replace(correspondence, warp=correspondence.warp.swapped(), ratio=1 / correspondence.ratio)


def _ordered_correspondence(
    first: Tensor,
    second: Tensor,
    look: Looker,
    fixed: Fixed | None,
    landmark_term: LandmarkTerm | None,
    tick: Callable[[], None],
) -> Correspondence:
    extent = extent_of((first.shape[3], first.shape[2]))
    no_motion = torch.zeros(2, *(count + 3 for count in cells(extent, LEVELS[0][0])))
    sights = Sights(first, second, look)

    def begun(ratio: float, *controls: Tensor) -> _Begun:
        layers = sights.common(sides(ratio))
        search = _Search.of(layers, extent, fixed, landmark_term, tick)
        starts = [search.improved(start, *LEVELS[0]) for start in (*controls, search.similarity())]
        control = min(starts, key=search.energy)
        return _Begun(ratio, layers, search, control, search.energy(control))

    chosen = begun(1.0, no_motion)
    unsure = fixed is None and landmark_term is None and chosen.trust < TRUSTED
    if unsure and (placed := _placed(chosen, sights)):
        chosen = placed
    else:
        ratio = min(max(chosen.search.ratio(chosen.control), 1 / LARGEST_RATIO), LARGEST_RATIO)
        again = chosen if 1 / RATIO < ratio < RATIO else begun(ratio, chosen.control)
        chosen = again if again.energy < CLOSER * chosen.energy else chosen
    mirrored = False
    if fixed is None:
        mirrored_search = _Search.of(sights.mirrored(sides(chosen.ratio)), extent, tick=tick)
        mirrored_control = mirrored_search.improved(mirrored_search.similarity(), *LEVELS[0])
        plain_search = replace(chosen.search, landmarks=None)  # none are looked for in a mirrored picture
        mirrored = mirrored_search.energy(mirrored_control) < MIRRORED * plain_search.energy(chosen.control)
    layers = [*sights.finest(sides(chosen.ratio)), *chosen.layers]
    search, control = _Search.of(layers, extent, fixed, landmark_term, tick), chosen.control
    for count, rate in LEVELS[1:]:
        control = search.improved(control, count, rate)
    control = unfolded(control, extent, None, torch.zeros_like(control))
    if fixed:
        control = unfolded(obedient(control, extent, fixed), extent, fixed, control)
    warp = Warp(control, extent, search.trust(control))
    before, after = search.energy(no_motion), search.energy(control)
    landmark_count = len(landmark_term.weight) if landmark_term else 0
    return Correspondence(warp, before, after, mirrored, look.name, landmark_count, chosen.ratio)


@dataclass(frozen=True)
class _Begun:
    """A field found coarsely, things being taken to be ``ratio`` times as large in the second picture."""

    ratio: float
    layers: list[tuple[float, Tensor]]
    search: _Search
    control: Tensor
    energy: float

    @cached_property
    def trust(self) -> float:
        """How far the field is to be trusted, in the mean of all places."""
        return float(self.search.trust(self.control).mean())


def _placed(begun: _Begun, sights: Sights) -> _Begun | None:
    """The field that begins where a part of one picture looks like a larger one of the other, if that is sure."""
    extent, placements = begun.search.extent, []
    for ratio, sizes in RATIOS.items():
        begun.search.tick()
        placements.append(Placement.of(_Search.of(sights.common(sizes), extent).features, ratio, extent))
    as_large = next(placement.score for placement in placements if placement.ratio == 1)
    better = [one for one in placements if one.score > PLAINER * as_large and len(one.places.at)]
    if not better:
        return None
    count, rate = LEVELS[1][0], LEVELS[0][1]

    def placed(placement: Placement) -> _Begun:
        layers = sights.common(sides(placement.ratio))  # trust can be compared where as much is seen
        search = _Search.of(layers, extent, tick=begun.search.tick)
        still = torch.zeros(2, *(intervals + 3 for intervals in cells(extent, count)))
        start = unfolded(obedient(still, extent, placement.places), extent, None, still)
        control = search.improved(start, count, rate)
        return _Begun(placement.ratio, layers, search, control, search.energy(control))

    likely = sorted(better, key=lambda placement: placement.score)[-LIKELY:]
    surest = max(map(placed, likely), key=lambda candidate: candidate.trust)
    rival = replace(begun, control=begun.search.improved(begun.control, count, rate))  # by as many intervals
    return surest if surest.trust > AS_SURE * rival.trust else None


@dataclass(frozen=True)
class _Search:
    """Two pictures' features, and the energy of fields between them.

    features: (2,C,h,w), the layers of either picture at one size, so that a product over the channels is about the
    sum of the layers' weighted cosines; ``weight`` is the sum of their weights.
    """

    features: Tensor
    weight: float
    extent: tuple[float, float]
    fixed: Fixed | None
    landmarks: LandmarkTerm | None
    tick: Callable[[], None]

    @classmethod
    def of(
        cls,
        layers: Sequence[tuple[float, Tensor]],
        extent: tuple[float, float],
        fixed: Fixed | None = None,
        landmarks: LandmarkTerm | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> _Search:
        """From what ``Sights`` says they have in common, the finest layer first."""
        finest_size = layers[0][1].shape[2:]
        resized_layers = [
            F.interpolate(features * math.sqrt(weight), size=finest_size, mode="bilinear", align_corners=False)
            for weight, features in layers
        ]
        total_weight = sum(weight for weight, _ in layers)
        features = F.normalize(main_components(torch.cat(resized_layers, 1)), dim=1) * math.sqrt(total_weight)
        return cls(features, total_weight, extent, fixed, landmarks, tick)

    @cached_property
    def grid(self) -> tuple[Tensor, Tensor, Tensor]:
        """The places compared, (h,w,2), and their rows and columns in [-1,1]."""
        rows, columns = (((torch.arange(n) + 0.5) / n * 2 - 1) for n in cells(self.extent, PLACES))
        y, x = torch.meshgrid(rows * self.extent[1], columns * self.extent[0], indexing="ij")
        return torch.stack([x, y], -1), rows, columns

    @cached_property
    def pixels(self) -> Tensor:
        """The features as (2hw,C), one place after the other."""
        return self.features.permute(0, 2, 3, 1).flatten(0, 2)

    def energy(self, control: Tensor) -> float:
        """How unlike the two are under a field, bending and all."""
        with torch.no_grad():
            return float(self._energy(control, _Bases.of(control, self)))

    @torch.enable_grad()
    def improved(self, control: Tensor, count: int, rate: float) -> Tensor:
        """A field of ``count`` intervals along a square's side, from another, by Adam."""
        control = refined(control, *cells(self.extent, count)).requires_grad_()
        bases = _Bases.of(control, self)
        optimiser = torch.optim.Adam([control], rate, fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - 0.9 * step / STEPS)
        for _ in range(STEPS):
            self.tick()
            optimiser.zero_grad()
            self._energy(control, bases).backward()
            optimiser.step()
            scheduler.step()
        return control.detach()

    def _energy(self, control: Tensor, bases: _Bases) -> Tensor:
        v, along_x, along_y = bases.fields(control)
        targets = self.grid[0] + torch.stack([-v, v]).permute(0, 2, 3, 1)
        outside_cost = F.relu(targets.abs() - torch.tensor(self.extent)).mean() * 2
        trace, det = along_x[0] + along_y[1], along_x[0] * along_y[1] - along_x[1] * along_y[0]
        fold_cost = F.relu(ROOM - 1 - det + trace).square().mean() + F.relu(ROOM - 1 - det - trace).square().mean()
        flat_control = control.flatten(1)
        stiffness_cost = (flat_control * (bases.stiffness @ flat_control[..., None])[..., 0]).sum()
        energy = self._unlikeness(targets) + stiffness_cost + OUTSIDE * outside_cost + FOLDS * fold_cost
        if self.fixed:
            energy = energy + POINTS * (bases.fixed_rows @ flat_control.T - self.fixed.field).square().sum(1).mean()
        if self.landmarks:
            energy = energy + self.landmarks.cost(bases.landmark_rows @ flat_control.T)
        return energy

    def _unlikeness(self, targets: Tensor) -> Tensor:
        """How unlike the first picture at ``targets[0]`` and the second at ``targets[1]`` are, (2,h,w,2)."""
        height, width = self.features.shape[2:]
        size = torch.tensor([width, height])
        coordinates = ((targets / torch.tensor(self.extent) + 1) * size - 1) / 2
        coordinates = coordinates.minimum(size - 1).clamp(min=0).flatten(1, 2)
        corners = coordinates.detach().floor().minimum(size - 2)
        x, y = (coordinates - corners).unbind(-1)
        weights = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1)
        with torch.no_grad():  # of a place only the weights of its four neighbours depend on the field
            corner_index = (corners[..., 1] * width + corners[..., 0]).long()
            corner_index += torch.tensor([[0], [height * width]])  # where either picture's pixels begin
            neighbours = corner_index[..., None] + torch.tensor([0, 1, width, width + 1])
            neighbour_features = self.pixels.index_select(0, neighbours.flatten()).unflatten(0, neighbours.shape)
            similarities = neighbour_features[0] @ neighbour_features[1].transpose(1, 2)
        seen = (similarities @ weights[1][..., None])[..., 0]
        return self.weight - (weights[0] * seen).sum(1).mean()

    def similarity(self) -> Tensor:
        """The field of a robust affine map between places that are each other's nearest, half of it each way."""
        rows, columns = cells(self.extent, PLACES // 2)
        coarse_features = F.normalize(F.adaptive_avg_pool2d(self.features, (rows, columns)), dim=1)
        first_features, second_features = coarse_features.flatten(2)
        similarities = first_features.T @ second_features
        forward, backward = similarities.argmax(1), similarities.argmax(0)
        indices = torch.arange(len(similarities))
        mutual = backward[forward] == indices
        y, x = torch.meshgrid(
            ((torch.arange(rows) + 0.5) / rows * 2 - 1) * self.extent[1],
            ((torch.arange(columns) + 0.5) / columns * 2 - 1) * self.extent[0],
            indexing="ij",
        )
        points = torch.stack([x, y], -1).reshape(-1, 2)
        sources, targets = points[mutual], points[forward[mutual]]
        confidence = similarities[indices[mutual], forward[mutual]].clamp(min=0)
        homogeneous = torch.cat([sources, torch.ones(len(sources), 1)], 1)
        prior, weight = torch.tensor([[1.0, 0], [0, 1], [0, 0]]), confidence
        for _ in range(10):
            root_weight = weight[:, None].sqrt()
            left = torch.cat([homogeneous * root_weight, 0.3 * torch.eye(3)])
            right = torch.cat([targets * root_weight, 0.3 * prior])
            affine = torch.linalg.lstsq(left, right).solution
            weight = confidence / (1 + ((homogeneous @ affine - targets).norm(dim=1) / 0.2).square())
        return self._affine(affine)

    def _affine(self, affine: Tensor) -> Tensor:
        """The control points of half of what an affine map (3,2) does; a spline holds it exactly."""
        counts = cells(self.extent, LEVELS[0][0])
        # a linear function's control points are its values at the knots, one more beyond either side
        ys, xs = (
            (torch.arange(-1, n + 2) / n * 2 - 1) * side for n, side in zip(counts, self.extent[::-1], strict=True)
        )
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        points = torch.stack([x, y, torch.ones_like(x)], -1)
        return ((points @ affine - points[..., :2]) / 2).permute(2, 0, 1)

    def ratio(self, control: Tensor) -> float:
        """How many times as large things are in the second picture, by their middling side."""
        with torch.no_grad():
            _, along_x, along_y = _Bases.of(control, self).fields(control)
            trace, det = along_x[0] + along_y[1], along_x[0] * along_y[1] - along_x[1] * along_y[0]
            first_areas, second_areas = ((1 + det + sign * trace).clamp(min=0.01) for sign in (-1, 1))
            logarithms = (second_areas / first_areas).log() / 2
            weights = self.trust(control)
            return math.exp(float((weights * logarithms).sum() / weights.sum().clamp(min=1e-6)))

    def trust(self, control: Tensor) -> Tensor:
        """How far each place is to be trusted, (rows, columns) of the halfway picture in [0,1].

        The match is compared with the best and with the middling one that the place has anywhere in the other
        picture; both ways.
        """
        grid, sides = self.grid[0], torch.tensor(self.extent)
        with torch.no_grad():
            field = _Bases.of(control, self).fields(control)[0].permute(1, 2, 0)
            rows, columns = grid.shape[:2]
            candidates = F.adaptive_avg_pool2d(self.features, (rows, columns)).flatten(2)
            scores = []
            for side, sign in ((0, -1), (1, 1)):
                points = torch.stack([grid + sign * field, grid - sign * field])
                sampled = (
                    F.grid_sample(self.features[index : index + 1], (places / sides)[None], align_corners=False)
                    for index, places in ((side, points[0]), (1 - side, points[1]))
                )
                own_features, matched_features = (features[0].flatten(1) for features in sampled)
                similarities = own_features.T @ candidates[1 - side]
                best, median = similarities.amax(1), similarities.median(1).values
                matched = (own_features * matched_features).sum(0)
                scores.append(((matched - median) / (best - median).clamp_min(0.05 * self.weight)).clamp(0, 1))
            score = torch.stack(scores).mean(0).reshape(1, 1, rows, columns)
            smoothed = F.avg_pool2d(score, 3, 1, 1, count_include_pad=False)[0, 0]
            return ((smoothed - 0.2) / 0.6).clamp(0, 1)


@dataclass(frozen=True)
class _Bases:
    """What the energy needs of a spline: rows and columns at the compared places, values and derivatives.

    stiffness: (2,K,K), see :func:`stiffness`. fixed_rows, landmark_rows: (N,K), those of the fixed points and the
    landmarks.
    """

    rows: list[Tensor]
    columns: list[Tensor]
    stiffness: Tensor
    fixed_rows: Tensor
    landmark_rows: Tensor

    @classmethod
    def of(cls, control: Tensor, search: _Search) -> _Bases:
        _, *axes = search.grid
        rows, columns = (
            [basis(count - 3, points, order) / side**order for order in (0, 1)]
            for count, points, side in zip(control.shape[1:], axes, search.extent[::-1], strict=True)
        )
        fixed_rows, landmark_rows = (
            term.rows(control, search.extent) if term else torch.zeros(0)
            for term in (search.fixed, search.landmarks.places if search.landmarks else None)
        )
        return cls(rows, columns, stiffness(control, search.extent).float(), fixed_rows, landmark_rows)

    def fields(self, control: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The field (2,h,w), and how it changes along x and along y."""
        values, y_derivatives = (rows @ control for rows in self.rows)
        return values @ self.columns[0].T, values @ self.columns[1].T, y_derivatives @ self.columns[0].T
