"""What keeps a field smooth, without folds, and where a person's points and landmarks say it is to be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.warp import areas, basis, extent_of
from morph.perception.landmarks import Landmarks

BENDING, STRAIN, EDGES = 0.002, 0.05, 0.5
"""What it costs to bend, to stretch, and to cross the picture's borders."""
LEAST = 0.1
"""The least det J that a field may have."""
ROOM = 1.5 * LEAST
"""The det J that is aimed at where it is less than that."""
EASING = 60
LANDMARKS, SLACK = 6.0, 0.02
"""Weight of landmarks, and how far off, in sides of a square, they begin to cost only in proportion."""
SAMPLES = 4
"""Places between two knots at which folds are looked for."""


@dataclass(frozen=True)
class Fixed:
    """Halfway points (N,2), and what the field is to be there, (N,2), in :mod:`morph.blending.warp`'s units."""

    at: Tensor
    field: Tensor

    @classmethod
    def of(cls, points: Tensor, size: tuple[int, int]) -> Fixed:
        """From places (N,4), xa, ya, xb, yb, in pixels of pictures of ``size`` (width, height)."""
        half, sides = torch.tensor(size) / 2, torch.tensor(extent_of(size))
        first, second = ((part + 0.5) / half * sides - sides for part in points.float().split(2, 1))
        return cls((first + second) / 2, (second - first) / 2)

    def rows(self, control: Tensor, extent: tuple[float, float]) -> Tensor:
        """What each control point (2,H,W) counts for the field there, (N,HW)."""
        x_weights, y_weights = (
            basis(control.shape[2 - axis] - 3, self.at[:, axis] / extent[axis]) for axis in (0, 1)
        )
        return torch.einsum("ny,nx->nyx", y_weights, x_weights).flatten(1)


@dataclass(frozen=True)
class LandmarkTerm:
    """Where landmarks are, what the field probably is there, and how much each counts, (N,)."""

    places: Fixed
    weight: Tensor

    @classmethod
    def of(cls, landmarks: Landmarks, size: tuple[int, int]) -> LandmarkTerm:
        """From landmarks in pixels of pictures of ``size`` (width, height)."""
        return cls(Fixed.of(landmarks.points, size), landmarks.weight)

    def cost(self, field: Tensor) -> Tensor:
        """Huber's, smoothed, of a field (N,2) there: one that is wrong pulls no harder the further off it is."""
        # a field is half of the way, in halves of a side: what it is off is what the way is, in sides
        squared_error = (field - self.places.field).square().sum(1)
        return LANDMARKS * (self.weight * ((squared_error + SLACK**2).sqrt() - SLACK)).sum()


def stiffness(control: Tensor, extent: tuple[float, float]) -> Tensor:
    """The quadratic forms (2,K,K), float64, of what x and y of a field cost that is not still, by control points.

    They have to bend, stretch and cross the borders, as means over the picture.
    """
    border_points, gram_matrices, borders = torch.tensor([-1.0, 1.0]), [], []
    for count, side in zip(control.shape[1:], extent[::-1], strict=True):
        points = torch.linspace(-1, 1, 4 * (count - 3) + 1)
        bases = [basis(count - 3, points, order).double() / side**order for order in range(3)]
        gram_matrices.append([basis_matrix.T @ basis_matrix / len(points) for basis_matrix in bases])
        border = basis(count - 3, border_points).double()
        borders.append(border.T @ border)
    (y0, y1, y2), (x0, x1, x2) = gram_matrices
    bending = torch.kron(y0, x2) + torch.kron(y2, x0) + 2 * torch.kron(y1, x1)
    strain = torch.kron(y0, x1) + torch.kron(y1, x0)
    # a little of its size, lest a field that is moved as a whole, or control points beyond the border, be free
    regularisation = 1e-6 * torch.kron(y0, x0) + 1e-9 * torch.eye(len(bending))
    common = BENDING * bending + STRAIN * strain + regularisation
    return torch.stack([common + EDGES * torch.kron(y0, borders[1]), common + EDGES * torch.kron(borders[0], x0)])


def obedient(control: Tensor, extent: tuple[float, float], fixed: Fixed) -> Tensor:
    """A field changed as little as its stiffness tells, so that it is at fixed points what it is to be there."""
    rows = fixed.rows(control, extent).double()
    residual = fixed.field.double() - rows @ control.flatten(1).T.double()
    response, response_factor = _point_response(torch.linalg.cholesky(stiffness(control, extent)), rows)
    change = response @ torch.cholesky_solve(residual.T[..., None], response_factor)
    return (control + change.reshape(control.shape)).float()


def unfolded(control: Tensor, extent: tuple[float, float], fixed: Fixed | None, sound: Tensor) -> Tensor:
    """A field without folds, det J above LEAST, close to another.

    It gives way where it folds, and keeps what it is at fixed points. Where that does not suffice, as when points
    contradict each other, it goes as far from ``sound``, a field without folds, as leaves none.
    """
    if _least_area(control, extent) > LEAST:
        return control
    stiffness_factor = torch.linalg.cholesky(stiffness(control, extent))
    rows = None if fixed is None else fixed.rows(control, extent).double()
    fixed_response = None if rows is None else _point_response(stiffness_factor, rows)
    for _ in range(EASING):
        cost, slope = _fold_cost(control, extent)
        step = torch.cholesky_solve(slope.flatten(1)[..., None].double(), stiffness_factor)
        if fixed_response and rows is not None:
            response, response_factor = fixed_response
            step -= response @ torch.cholesky_solve(rows @ step, response_factor)
        # what Newton would do along this line, to where nothing costs
        descent = float((step[..., 0] * slope.flatten(1)).sum())
        control = control - (2 * cost / max(descent, 1e-12) * step).reshape(control.shape).float()
        if _least_area(control, extent) > LEAST:
            return control
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        foldless = _least_area(torch.lerp(sound, control, middle), extent) > LEAST
        low, high = (middle, high) if foldless else (low, middle)
    return torch.lerp(sound, control, low)


def _point_response(stiffness_factor: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """How control points (2,K,N) give way to forces at N points, and how the field there does, (2,N,N).

    ``stiff`` and the latter are Cholesky's factors: some builds of LU fail on batches with several threads.
    """
    response = torch.cholesky_solve(rows.T.expand(2, -1, -1), stiffness_factor)
    point_response = rows @ response
    # two points at one place may say different things: then both are met as well as may be
    regularisation = 1e-6 * point_response.diagonal(dim1=1, dim2=2).mean()
    return response, torch.linalg.cholesky(point_response + regularisation * torch.eye(len(rows)))


def _least_area(control: Tensor, extent: tuple[float, float]) -> float:
    return float(areas(control, extent, SAMPLES).amin())


@torch.enable_grad()
def _fold_cost(control: Tensor, extent: tuple[float, float]) -> tuple[float, Tensor]:
    """What the places below ROOM cost, and the slope of that by control points."""
    variable = control.clone().requires_grad_()
    cost = F.relu(ROOM - areas(variable, extent, SAMPLES)).square().mean()
    return float(cost.detach()), torch.autograd.grad(cost, variable)[0]
