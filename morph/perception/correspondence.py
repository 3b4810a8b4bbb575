"""Which place of one picture is which of another: a smooth field between them, found from what networks see.

The halfway domain is that of Liao et al., "Automating Image Morphing using Structural Similarity on a Halfway
Domain", 2014; see :mod:`morph.blending.warp`. In place of grey windows, dense features are compared, projected onto
what both pictures have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.warp import Warp, basis, cells, extent_of, refined
from morph.perception.dense import Looker
from morph.perception.landmarks import Landmarks
from morph.perception.smooth import Fixed, obedient, stiffness, unfolded

SIDE = 256
"""The root of the area, in pixels, of the pictures that are compared; their sides are multiples of STRIDE."""
STRIDE = 16
COMPONENTS = 64
"""Main components of a layer that are kept, and then of all layers together."""
PLACES = 32
"""Places of the halfway picture at which the two are compared, along either side of a square."""
LEVELS = ((4, 0.02), (8, 0.01), (16, 0.005))
"""Intervals of the spline along a square's side, and Adam's rate, from coarse to fine."""
STEPS = 60
OUTSIDE, FOLDS, POINTS = 1.0, 10.0, 20.0
"""Weights of the terms beside unlikeness and stiffness."""
LANDMARKS, SLACK = 6.0, 0.02
"""Weight of landmarks, and how far off, in sides of a square, they begin to cost only in proportion."""
ROOM = 0.3
"""The det J below which a fold begins to cost."""
MIRRORED = 0.85
"""The share of the energy that a mirrored picture may have at most to be named as the better match."""


@dataclass(frozen=True)
class Correspondence:
    """What was found between two pictures.

    before, after: the energy with nothing moved, and with the field. mirrored: the second picture would match far
    better flipped left to right. features: what was compared. landmarks: how many pairs of them helped.
    """

    warp: Warp
    before: float
    after: float
    mirrored: bool
    features: str
    landmarks: int = 0

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
) -> Correspondence:
    """The field between two pictures (1,3,H,W) in [-1,1] of one size.

    points: (N,4) places (xa, ya, xb, yb) that a person says are the same, in pixels of these pictures, 0 being the
    first one's centre; they are obeyed. landmarks: places that are probably the same; they help.

    The pictures swapped give the negative field, bit for bit.
    """
    height, width = first.shape[2:]
    flip = first.numpy(force=True).tobytes() > second.numpy(force=True).tobytes()  # one order for both directions
    if flip:
        first, second = second, first
        points = None if points is None else points[:, [2, 3, 0, 1]]
        landmarks = None if landmarks is None else landmarks.swapped()
    fixed = None if points is None else Fixed.of(points, (width, height))
    likely = None if landmarks is None else _Likely.of(landmarks, (width, height))
    found = _found(first, second, look, fixed, likely)
    return replace(found, warp=found.warp.swapped()) if flip else found


@dataclass(frozen=True)
class _Likely:
    """Where landmarks are, what the field probably is there, and how much each counts, (N,)."""

    places: Fixed
    weight: Tensor

    @classmethod
    def of(cls, landmarks: Landmarks, size: tuple[int, int]) -> _Likely:
        return cls(Fixed.of(landmarks.points, size), landmarks.weight)

    def cost(self, field: Tensor) -> Tensor:
        """Huber's, smoothed, of a field (N,2) there: one that is wrong pulls no harder the further off it is."""
        # a field is half of the way, in halves of a side: what it is off is what the way is, in sides
        off = (field - self.places.field).square().sum(1)
        return LANDMARKS * (self.weight * ((off + SLACK**2).sqrt() - SLACK)).sum()


def _found(
    first: Tensor, second: Tensor, look: Looker, fixed: Fixed | None, likely: _Likely | None
) -> Correspondence:
    extent = extent_of((first.shape[3], first.shape[2]))
    one, other, turned = (look(_reduced(picture)) for picture in (first, second, second.flip(3)))
    layers, flipped = _layers(one, other), _layers(one[1:] or one, turned[1:] or turned)
    # where to start is found without the finest layer, which is of use only close to what matches
    coarse = _Search.of(layers[1:] or layers, extent, fixed, likely)
    still = torch.zeros(2, *(count + 3 for count in cells(extent, LEVELS[0][0])))
    starts = [coarse.improved(start, *LEVELS[0]) for start in (still, coarse.similarity())]
    control = min(starts, key=coarse.energy)
    against = _Search.of(flipped, extent)
    alone = replace(coarse, likely=None)  # no landmarks are looked for in a mirrored picture
    mirrored = fixed is None and (
        against.energy(against.improved(against.similarity(), *LEVELS[0])) < MIRRORED * alone.energy(control)
    )
    search = _Search.of(layers, extent, fixed, likely)
    for count, rate in LEVELS[1:]:
        control = search.improved(control, count, rate)
    control = unfolded(control, extent, None, torch.zeros_like(control))
    if fixed:
        control = unfolded(obedient(control, extent, fixed), extent, fixed, control)
    warp = Warp(control, extent, search.trust(control))
    before, after, landmarks = search.energy(still), search.energy(control), len(likely.weight) if likely else 0
    return Correspondence(warp, before, after, mirrored, look.name, landmarks)


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
    likely: _Likely | None

    @classmethod
    def of(
        cls,
        layers: Sequence[tuple[float, Tensor]],
        extent: tuple[float, float],
        fixed: Fixed | None = None,
        likely: _Likely | None = None,
    ) -> _Search:
        """From what ``_layers`` gives."""
        finest = layers[0][1].shape[2:]
        joined = [
            F.interpolate(both * math.sqrt(weight), size=finest, mode="bilinear", align_corners=False)
            for weight, both in layers
        ]
        total = sum(weight for weight, _ in layers)
        both = F.normalize(_main(torch.cat(joined, 1)), dim=1) * math.sqrt(total)
        return cls(both, total, extent, fixed, likely)

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
        optimiser = torch.optim.Adam([control], rate)
        slowing = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - 0.9 * step / STEPS)
        for _ in range(STEPS):
            optimiser.zero_grad()
            self._energy(control, bases).backward()
            optimiser.step()
            slowing.step()
        return control.detach()

    def _energy(self, control: Tensor, bases: _Bases) -> Tensor:
        v, across, down = bases.fields(control)
        to = self.grid[0] + torch.stack([-v, v]).permute(0, 2, 3, 1)
        outside = F.relu(to.abs() - torch.tensor(self.extent)).mean() * 2
        trace, det = across[0] + down[1], across[0] * down[1] - across[1] * down[0]
        folds = F.relu(ROOM - 1 - det + trace).square().mean() + F.relu(ROOM - 1 - det - trace).square().mean()
        flat = control.flatten(1)
        stiff = (flat * (bases.stiff @ flat[..., None])[..., 0]).sum()
        whole = self._unlike(to) + stiff + OUTSIDE * outside + FOLDS * folds
        if self.fixed:
            whole = whole + POINTS * (bases.held @ flat.T - self.fixed.field).square().sum(1).mean()
        if self.likely:
            whole = whole + self.likely.cost(bases.likely @ flat.T)
        return whole

    def _unlike(self, to: Tensor) -> Tensor:
        """How unlike the first picture at ``to[0]`` and the second at ``to[1]`` are, (2,h,w,2)."""
        height, width = self.features.shape[2:]
        size = torch.tensor([width, height])
        at = (((to / torch.tensor(self.extent) + 1) * size - 1) / 2).minimum(size - 1).clamp(min=0).flatten(1, 2)
        low = at.detach().floor().minimum(size - 2)
        x, y = (at - low).unbind(-1)
        weights = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1)
        with torch.no_grad():  # of a place only the weights of its four neighbours depend on the field
            first = (low[..., 1] * width + low[..., 0]).long() + torch.tensor([[0], [height * width]])
            four = first[..., None] + torch.tensor([0, 1, width, width + 1])
            near = self.pixels.index_select(0, four.flatten()).unflatten(0, four.shape)
            alike = near[0] @ near[1].transpose(1, 2)
        return self.weight - torch.einsum("ni,nij,nj->n", weights[0], alike, weights[1]).mean()

    def similarity(self) -> Tensor:
        """The field of a robust affine map between places that are each other's nearest, half of it each way."""
        rows, columns = cells(self.extent, PLACES // 2)
        small = F.normalize(F.adaptive_avg_pool2d(self.features, (rows, columns)), dim=1)
        a, b = small.flatten(2)
        alike = a.T @ b
        to, back, every = alike.argmax(1), alike.argmax(0), torch.arange(alike.shape[0])
        mutual = back[to] == every
        y, x = torch.meshgrid(
            ((torch.arange(rows) + 0.5) / rows * 2 - 1) * self.extent[1],
            ((torch.arange(columns) + 0.5) / columns * 2 - 1) * self.extent[0],
            indexing="ij",
        )
        at = torch.stack([x, y], -1).reshape(-1, 2)
        start, end = at[mutual], at[to[mutual]]
        sure = alike[every[mutual], to[mutual]].clamp(min=0)
        ones = torch.cat([start, torch.ones(len(start), 1)], 1)
        prior, weight = torch.tensor([[1.0, 0], [0, 1], [0, 0]]), sure
        for _ in range(10):
            root = weight[:, None].sqrt()
            rows_ = torch.cat([ones * root, 0.3 * torch.eye(3)]), torch.cat([end * root, 0.3 * prior])
            fit = torch.linalg.lstsq(*rows_).solution
            weight = sure / (1 + ((ones @ fit - end).norm(dim=1) / 0.2).square())
        return self._affine(fit)

    def _affine(self, fit: Tensor) -> Tensor:
        """The control points of half of what an affine map (3,2) does; a spline holds it exactly."""
        counts = cells(self.extent, LEVELS[0][0])
        # a linear function's control points are its values at the knots, one more beyond either side
        ys, xs = (
            (torch.arange(-1, n + 2) / n * 2 - 1) * side for n, side in zip(counts, self.extent[::-1], strict=True)
        )
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        points = torch.stack([x, y, torch.ones_like(x)], -1)
        return ((points @ fit - points[..., :2]) / 2).permute(2, 0, 1)

    def trust(self, control: Tensor) -> Tensor:
        """How far each place is to be trusted, (rows, columns) of the halfway picture in [0,1].

        The match is compared with the best and with the middling one that the place has anywhere in the other
        picture; both ways.
        """
        grid, sides = self.grid[0], torch.tensor(self.extent)
        with torch.no_grad():
            v = _Bases.of(control, self).fields(control)[0].permute(1, 2, 0)
            rows, columns = grid.shape[:2]
            every = F.adaptive_avg_pool2d(self.features, (rows, columns)).flatten(2)
            shares = []
            for here, way in ((0, -1), (1, 1)):
                ends = torch.stack([grid + way * v, grid - way * v])
                mine, match = (
                    F.grid_sample(self.features[side : side + 1], (place / sides)[None], align_corners=False)[
                        0
                    ].flatten(1)
                    for side, place in ((here, ends[0]), (1 - here, ends[1]))
                )
                alike = mine.T @ every[1 - here]
                best, middling = alike.amax(1), alike.median(1).values
                got = (mine * match).sum(0)
                shares.append(((got - middling) / (best - middling).clamp_min(0.05 * self.weight)).clamp(0, 1))
            share = torch.stack(shares).mean(0).reshape(1, 1, rows, columns)
            smooth = F.avg_pool2d(share, 3, 1, 1, count_include_pad=False)[0, 0]
            return ((smooth - 0.2) / 0.6).clamp(0, 1)


@dataclass(frozen=True)
class _Bases:
    """What the energy needs of a spline: rows and columns at the compared places, values and derivatives.

    stiff: (2,K,K), see :func:`stiffness`. held, likely: (N,K), the fixed points' rows, and the landmarks'.
    """

    rows: list[Tensor]
    columns: list[Tensor]
    stiff: Tensor
    held: Tensor
    likely: Tensor

    @classmethod
    def of(cls, control: Tensor, search: _Search) -> _Bases:
        _, *places = search.grid
        rows, columns = (
            [basis(count - 3, at, order) / side**order for order in (0, 1)]
            for count, at, side in zip(control.shape[1:], places, search.extent[::-1], strict=True)
        )
        held, likely = (
            places.rows(control, search.extent) if places else torch.zeros(0)
            for places in (search.fixed, search.likely.places if search.likely else None)
        )
        return cls(rows, columns, stiffness(control, search.extent).float(), held, likely)

    def fields(self, control: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The field (2,h,w), and how it changes along x and along y."""
        ways = [rows @ control for rows in self.rows]
        return ways[0] @ self.columns[0].T, ways[0] @ self.columns[1].T, ways[1] @ self.columns[0].T


def _reduced(picture: Tensor) -> Tensor:
    """A picture at the size at which it is compared."""
    height, width = picture.shape[2:]
    scale = SIDE / math.sqrt(height * width)
    size = [max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width)]
    small = F.interpolate(picture.float(), size=size, mode="bicubic", align_corners=False, antialias=True)
    return small.clamp(-1, 1)


def _layers(
    one: Sequence[tuple[float, Tensor]], other: Sequence[tuple[float, Tensor]]
) -> list[tuple[float, Tensor]]:
    """What two pictures have in common in each layer, and how much it counts: (2,D,h,w) of unit length.

    Each channel is normalised over its own picture, so that another light does not count.
    """
    return [
        (weight, F.normalize(_main(torch.cat([_normalised(a), _normalised(b)])), dim=1))
        for (weight, a), (_, b) in zip(one, other, strict=True)
    ]


def _main(both: Tensor) -> Tensor:
    """The main components (2,D,h,w) of what two pictures have (2,C,h,w)."""
    flat = both.flatten(2)
    middle = flat.mean((0, 2))
    spread = sum((part @ part.T for part in flat), torch.tensor(0.0)) / (2 * flat.shape[2])
    axes = torch.linalg.eigh(spread - middle[:, None] * middle)[1][:, -COMPONENTS:].T
    return (axes @ flat - (axes @ middle)[:, None]).unflatten(2, both.shape[2:])


def _normalised(layer: Tensor) -> Tensor:
    variance, middle = torch.var_mean(layer, (2, 3), keepdim=True)
    return F.normalize((layer - middle) / (variance.sqrt() + 1e-3 * variance.mean().sqrt()), dim=1)
