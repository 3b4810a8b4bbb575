"""Which place of one picture is which of another: a smooth field between them, found from what networks see.

The halfway domain is that of Liao et al., "Automating Image Morphing using Structural Similarity on a Halfway
Domain", 2014; see :mod:`morph.warp`. In place of grey windows, dense features are compared, projected onto what
both pictures have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.perception.dense import Looker
from morph.perception.landmarks import Landmarks
from morph.warp import Warp, areas, basis, cells, extent_of, refined

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
BENDING, STRAIN, EDGES, OUTSIDE, FOLDS, POINTS = 0.002, 0.05, 0.5, 1.0, 10.0, 20.0
"""Weights of the terms beside unlikeness."""
LANDMARKS, SLACK = 6.0, 0.02
"""Weight of landmarks, and how far off, in sides of a square, they begin to cost only in proportion."""
ROOM = 0.3
"""The det J below which a fold begins to cost; none below LEAST is left."""
LEAST = 0.1
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
    fixed = None if points is None else _Fixed.of(points, (width, height))
    found = _found(first, second, look, fixed, landmarks)
    return replace(found, warp=found.warp.swapped()) if flip else found


@dataclass(frozen=True)
class _Fixed:
    """Halfway points (N,2), and what the field is to be there."""

    at: Tensor
    field: Tensor

    @classmethod
    def of(cls, points: Tensor, size: tuple[int, int]) -> _Fixed:
        half, sides = torch.tensor(size) / 2, torch.tensor(extent_of(size))
        first, second = ((part + 0.5) / half * sides - sides for part in points.float().split(2, 1))
        return cls((first + second) / 2, (second - first) / 2)


@dataclass(frozen=True)
class _Likely:
    """Halfway points, what the field probably is there, and how much each counts."""

    where: _Fixed
    weight: Tensor

    @classmethod
    def of(cls, landmarks: Landmarks, size: tuple[int, int]) -> _Likely:
        return cls(_Fixed.of(landmarks.points, size), landmarks.weight)

    def cost(self, warp: Warp) -> Tensor:
        """Huber's, smoothed: a landmark that is wrong pulls no harder the further off it is."""
        # a field is half of the way, in halves of a side: what it is off is what the way is, in sides
        off = (warp.at(self.where.at) - self.where.field).square().sum(1)
        return LANDMARKS * (self.weight * ((off + SLACK**2).sqrt() - SLACK)).sum()


def _found(
    first: Tensor, second: Tensor, look: Looker, fixed: _Fixed | None, landmarks: Landmarks | None
) -> Correspondence:
    size = (first.shape[3], first.shape[2])
    one, other, turned = (look(_reduced(picture)) for picture in (first, second, second.flip(3)))
    search = _Search.of(one, other, size, fixed)
    search = replace(search, likely=_Likely.of(landmarks, size) if landmarks else None)
    still = torch.zeros(2, *(count + 3 for count in cells(search.extent, LEVELS[0][0])))
    starts = [search.improved(start, *LEVELS[0]) for start in (still, search.similarity())]
    control = min(starts, key=search.energy)
    against = _Search.of(one, turned, size, None)
    flipped = against.improved(against.similarity(), *LEVELS[0])
    alone = replace(search, likely=None)  # as the mirrored picture is looked at
    mirrored = fixed is None and against.energy(flipped) < MIRRORED * alone.energy(control)
    for count, rate in LEVELS[1:]:
        control = search.improved(control, count, rate)
    control = search.unfolded(search.obedient(control))
    warp = Warp(control, search.extent, search.trust(control))
    before, after = search.energy(still), search.energy(control)
    return Correspondence(warp, before, after, mirrored, look.name, len(landmarks) if landmarks else 0)


@dataclass(frozen=True)
class _Search:
    """Two pictures' features, and the energy of fields between them.

    features: (2,C,h,w), the layers of either picture at one size, so that a product over the channels is about the
    sum of the layers' weighted cosines; ``weight`` is the sum of their weights.
    """

    features: Tensor
    weight: float
    extent: tuple[float, float]
    fixed: _Fixed | None
    likely: _Likely | None = None

    @classmethod
    def of(
        cls,
        one: Sequence[tuple[float, Tensor]],
        other: Sequence[tuple[float, Tensor]],
        size: tuple[int, int],
        fixed: _Fixed | None,
    ) -> _Search:
        """From the layers that a network gives of either picture."""
        finest = one[0][1].shape[2:]
        layers = []
        for (weight, a), (_, b) in zip(one, other, strict=True):
            both = _common(a, b) * math.sqrt(weight)
            layers.append(F.interpolate(both, size=finest, mode="bilinear", align_corners=False))
        total = sum(weight for weight, _ in one)
        both = F.normalize(_main(torch.cat(layers, 1)), dim=1) * math.sqrt(total)
        return cls(both, total, extent_of(size), fixed)

    @cached_property
    def grid(self) -> tuple[Tensor, Tensor, Tensor]:
        """The places compared, (N,2), and their rows and columns in [-1,1]."""
        rows, columns = (((torch.arange(n) + 0.5) / n * 2 - 1) for n in cells(self.extent, PLACES))
        y, x = torch.meshgrid(rows * self.extent[1], columns * self.extent[0], indexing="ij")
        return torch.stack([x, y], -1), rows, columns

    def energy(self, control: Tensor) -> float:
        """How unlike the two are under a field, bending and all."""
        with torch.no_grad():
            return float(self._energy(control, _Bases.of(control, *self.grid[1:])))

    @torch.enable_grad()
    def improved(self, control: Tensor, count: int, rate: float) -> Tensor:
        """A field of ``count`` intervals along a square's side, from another, by Adam."""
        rows, columns = cells(self.extent, count)
        control = refined(control, rows, columns).requires_grad_()
        bases = _Bases.of(control, *self.grid[1:])
        optimiser = torch.optim.Adam([control], rate)
        slowing = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - 0.9 * step / STEPS)
        for _ in range(STEPS):
            optimiser.zero_grad()
            self._energy(control, bases).backward()
            optimiser.step()
            slowing.step()
        return control.detach()

    def _energy(self, control: Tensor, bases: _Bases) -> Tensor:
        v = bases.field(control, 0, 0)
        grid, sides = self.grid[0], torch.tensor(self.extent)
        to = grid.new_tensor([-1.0, 1.0]).reshape(2, 1, 1, 1) * v.permute(1, 2, 0) + grid
        seen = F.grid_sample(self.features, to / sides, padding_mode="border", align_corners=False)
        unlike = self.weight - (seen[0] * seen[1]).sum(0).mean()
        across, down = bases.field(control, 0, 1) / self.extent[0], bases.field(control, 1, 0) / self.extent[1]
        strain = across.square().sum(0).mean() + down.square().sum(0).mean()
        bends = (
            bases.field(control, 0, 2) / self.extent[0] ** 2,
            bases.field(control, 2, 0) / self.extent[1] ** 2,
            bases.field(control, 1, 1) * math.sqrt(2) / (self.extent[0] * self.extent[1]),
        )
        bending = sum((part.square().sum(0).mean() for part in bends), torch.tensor(0.0))
        left, top = bases.border(control)
        edges = left.square().mean() + top.square().mean()
        outside = F.relu(to.abs() - sides).mean() * 2
        trace, det = across[0] + down[1], across[0] * down[1] - across[1] * down[0]
        folds = sum((F.relu(ROOM - (1 + s * trace + det)).square().mean() for s in (-1, 1)), torch.tensor(0.0))
        whole = unlike + BENDING * bending + STRAIN * strain + EDGES * 2 * edges + OUTSIDE * outside + FOLDS * folds
        if self.fixed:
            off = Warp(control, self.extent, self.features).at(self.fixed.at) - self.fixed.field
            whole = whole + POINTS * off.square().sum(1).mean()
        if self.likely:
            whole = whole + self.likely.cost(Warp(control, self.extent, self.features))
        return whole

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

    def obedient(self, control: Tensor) -> Tensor:
        """The field changed as little as bending tells, so that it is at fixed points what it is to be there."""
        if self.fixed is None:
            return control
        counts = [count - 3 for count in control.shape[1:]]
        stiff = _stiffness(counts, self.extent)
        across, down = (basis(counts[1 - axis], self.fixed.at[:, axis] / self.extent[axis]) for axis in (0, 1))
        rows = torch.einsum("ny,nx->nyx", down, across).flatten(1).double()
        off = self.fixed.field - Warp(control, self.extent, self.features).at(self.fixed.at)
        answer = torch.linalg.solve(stiff, rows.T)
        whole = rows @ answer
        # two points at one place may say different things: then both are met as well as may be
        whole += 1e-6 * whole.diagonal().mean() * torch.eye(len(rows), dtype=torch.float64)
        change = answer @ torch.linalg.solve(whole, off.double())
        return control + change.T.reshape(control.shape).float()

    def unfolded(self, control: Tensor) -> Tensor:
        """The field without folds, det J above LEAST: where there are any, as much of it as leaves none."""
        low, high = 0.0, 1.0
        if float(areas(control, self.extent, 4).amin()) > LEAST:
            return control
        for _ in range(20):
            middle = (low + high) / 2
            ok = float(areas(control * middle, self.extent, 4).amin()) > LEAST
            low, high = (middle, high) if ok else (low, middle)
        return control * low

    def trust(self, control: Tensor) -> Tensor:
        """How far each place is to be trusted, (rows, columns) of the halfway picture in [0,1].

        The match is compared with the best and with the middling one that the place has anywhere in the other
        picture; both ways.
        """
        grid, sides = self.grid[0], torch.tensor(self.extent)
        with torch.no_grad():
            v = _Bases.of(control, *self.grid[1:]).field(control, 0, 0).permute(1, 2, 0)
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
    """Splines at the compared places: rows and columns, by the order of their derivative, and at the borders."""

    rows: list[Tensor]
    columns: list[Tensor]

    @classmethod
    def of(cls, control: Tensor, rows: Tensor, columns: Tensor) -> _Bases:
        counts = [count - 3 for count in control.shape[1:]]
        return cls(*([basis(n, at, k) for k in range(3)] for n, at in zip(counts, (rows, columns), strict=True)))

    def field(self, control: Tensor, down: int, across: int) -> Tensor:
        """The field (2,h,w), or a derivative along either axis in [-1,1]."""
        return self.rows[down] @ control @ self.columns[across].T

    def border(self, control: Tensor) -> tuple[Tensor, Tensor]:
        """What crosses the border: x at the left and right ones, y at the upper and lower ones, two rows each."""
        ends = torch.tensor([-1.0, 1.0])
        left = self.rows[0] @ control[0] @ basis(control.shape[2] - 3, ends).T
        top = basis(control.shape[1] - 3, ends) @ control[1] @ self.columns[0].T
        return left, top


def _stiffness(counts: Sequence[int], extent: tuple[float, float]) -> Tensor:
    """The quadratic form of strain and bending on control points, a little of their size added."""
    at = [torch.linspace(-1, 1, 4 * n + 1) for n in counts]
    moments = []
    for n, places, side in zip(counts, at, extent[::-1], strict=True):
        own = [basis(n, places, k).double() / side**k for k in range(3)]
        moments.append([part.T @ part / len(places) for part in own])
    (y0, y1, y2), (x0, x1, x2) = moments
    bending = torch.kron(y0, x2) + torch.kron(y2, x0) + 2 * torch.kron(y1, x1)
    strain = torch.kron(y0, x1) + torch.kron(y1, x0)
    return BENDING * bending + STRAIN * strain + 1e-6 * torch.kron(y0, x0) + 1e-9 * torch.eye(len(bending))


def _reduced(picture: Tensor) -> Tensor:
    """A picture at the size at which it is compared."""
    height, width = picture.shape[2:]
    scale = SIDE / math.sqrt(height * width)
    size = [max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width)]
    small = F.interpolate(picture.float(), size=size, mode="bicubic", align_corners=False, antialias=True)
    return small.clamp(-1, 1)


def _common(a: Tensor, b: Tensor) -> Tensor:
    """A layer of two pictures, (1,C,h,w) each, as (2,D,h,w) of unit length in the main components of both.

    Each channel is normalised over its own picture, so that another light does not count.
    """
    return F.normalize(_main(torch.cat([_normalised(a), _normalised(b)])), dim=1)


def _main(both: Tensor) -> Tensor:
    """The main components (2,D,h,w) of what two pictures have (2,C,h,w)."""
    rows = both.flatten(2).permute(0, 2, 1).flatten(0, 1)
    rows = rows - rows.mean(0)
    axes = torch.linalg.eigh(rows.T @ rows)[1][:, -COMPONENTS:]
    return (rows @ axes).reshape(2, *both.shape[2:], -1).permute(0, 3, 1, 2).contiguous()


def _normalised(layer: Tensor) -> Tensor:
    layer = layer - layer.mean((2, 3), keepdim=True)
    return F.normalize(layer / (layer.std((2, 3), keepdim=True) + 1e-3 * layer.std()), dim=1)
