"""Smooth maps between two pictures, kept on the picture halfway between them, and pictures warped by them.

A field v on the halfway picture (Liao et al., "Automating Image Morphing using Structural Similarity on a Halfway
Domain", 2014) says that its point p is p - v(p) in the first picture, p + v(p) in the second, and stands at
p + (2 alpha - 1) v(p) in the frame at alpha. One field serves both directions and every alpha; for the pictures
swapped it is -v.

Coordinates are (x, y) with the origin in the middle of the picture, in units of half the root of its area, so that
a square reaches from -1 to 1 and a length means the same along both axes, whatever the picture's shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.latest import Latest

ROUNDS = 50
"""Most rounds of the fixed point that finds the halfway point of a frame's place."""
STILL = 1e-6
"""What a round may move such a point by when no other follows, far below what a pixel is wide."""
COARSE = 192
"""Points a side at which that is done; the field is smooth, so that between them it is interpolated."""
RECENT = 16
"""Frames for which that is kept: each is asked for at several sizes."""
SAMPLES = 4
"""Places between two knots, along either axis, at which folds are looked for."""


@dataclass(frozen=True)
class Warp:
    """A field on the halfway picture: a uniform cubic B-spline, and how far it is to be trusted.

    control: (2, rows + 3, columns + 3) float32, the control points of v, x and y. extent: half the width and half
    the height of the picture. trust: (h, w) float32 in [0,1] over the halfway picture; 1 where the match is as
    good as any could be, 0 where nothing was found.
    """

    control: Tensor
    extent: tuple[float, float]
    trust: Tensor
    _displacements: Latest[float, Tensor] = field(
        default_factory=lambda: Latest(RECENT), init=False, repr=False, compare=False
    )

    @classmethod
    def still(cls, size: tuple[int, int]) -> Self:
        """The field of pictures of ``size`` (width, height) between which nothing moves."""
        extent = extent_of(size)
        rows, columns = cells(extent, 4)
        return cls(torch.zeros(2, rows + 3, columns + 3), extent, torch.ones(rows, columns))

    def swapped(self) -> Self:
        """That of the two pictures in the other order."""
        return type(self)(-self.control, self.extent, self.trust)

    def packed(self) -> dict[str, Tensor]:
        """As named tensors, to be kept in a file."""
        return {
            "control": self.control,
            "extent": torch.tensor(self.extent, dtype=torch.float64),
            "trust": self.trust,
        }

    @classmethod
    def unpacked(cls, named: Mapping[str, Tensor]) -> Self:
        """What ``packed`` made.

        Raises:
            LookupError, ValueError: it is something else.
        """
        width, height = named["extent"].tolist()
        control, trust = named["control"], named["trust"]
        if control.ndim != 3 or len(control) != 2 or min(control.shape[1:]) < 4 or trust.ndim != 2:
            raise ValueError("it is no field")
        if {control.dtype, trust.dtype} != {torch.float32} or not trust.numel():
            raise ValueError("a field has no such numbers")
        places = 0 < width < math.inf and 0 < height < math.inf
        if not (places and control.isfinite().all() and trust.isfinite().all()):
            raise ValueError("a field has no such places")
        return cls(control, (width, height), trust)

    def at(self, points: Tensor) -> Tensor:
        """The field (N,2) at points (N,2) of the halfway picture."""
        x_weights, y_weights = (
            basis(self.control.shape[2 - axis] - 3, points[:, axis] / self.extent[axis]) for axis in (0, 1)
        )
        return torch.einsum("ny,cyx,nx->nc", y_weights, self.control, x_weights)

    def places(
        self, alpha: float, size: tuple[int, int], ends: tuple[float, float] = (0.0, 1.0)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Where the frame at alpha, of ``size`` (width, height), finds its pixels: (H,W,2) each.

        In the frames at the positions ``ends``, by default the two pictures, and in the halfway picture; in this
        module's units.
        """
        displacement = self._displacements.get(alpha, self._displacement)
        unit_grid = _mesh(*[(torch.arange(count) + 0.5) / count * 2 - 1 for count in size])
        displacement, pixels = _interpolated(displacement, unit_grid, "bicubic"), unit_grid * self._half_sides
        first, second, halfway = (pixels + 2 * (position - alpha) * displacement for position in (*ends, 0.5))
        return first, second, halfway

    def _displacement(self, alpha: float) -> Tensor:
        """The field (1,2,COARSE,COARSE) where points of the frame at alpha lie in the halfway picture.

        The borders are among the points, so that nothing is extrapolated.
        """
        frame_points = _mesh(*[torch.linspace(-side, side, COARSE) for side in self.extent])
        sampled, points = self._sampled(16), frame_points
        for _ in range(ROUNDS):
            displacement = _interpolated(sampled, points / self._half_sides, "bilinear")
            before, points = points, 0.5 * points + 0.5 * (frame_points - (2 * alpha - 1) * displacement)
            if float((points - before).abs().amax()) < STILL:
                break
        return self.at(points.reshape(-1, 2)).T.reshape(1, 2, COARSE, COARSE)

    def pixels(self, alpha: float, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The same in pixels, x and y, of pictures of ``size`` (width, height); the first pixel's centre is (0, 0).

        At alpha 0 the second says where each pixel of the first picture is in the second, at alpha 1 the first
        where each of the second is in the first.
        """
        first, second, _ = self.places(alpha, size)
        half = torch.tensor(size, dtype=torch.float32) / 2
        return (first / self._half_sides + 1) * half - 0.5, (second / self._half_sides + 1) * half - 0.5

    def trusted(self, halfway: Tensor) -> Tensor:
        """How far the match is to be trusted at halfway points (H,W,2): (H,W) in [0,1]."""
        return self.looked_up(self.trust[None, None], halfway)[0, 0]

    def looked_up(self, values: Tensor, places: Tensor) -> Tensor:
        """Values (1,C,h,w) of a whole picture at places (H,W,2) of it: (1,C,H,W). Its borders go on."""
        grid = (places / self._half_sides)[None]
        return _looked_up(values, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def warped(self, picture: Tensor, places: Tensor) -> Tensor:
        """A picture (1,C,H,W) of any size at places (h,w,2), by cubics; beyond its borders it is mirrored."""
        grid = (places / self._half_sides)[None].to(picture)
        # a border that only went on would be drawn out into streaks
        return _looked_up(picture, grid, mode="bicubic", padding_mode="reflection", align_corners=False)

    def least_area(self) -> float:
        """The least det J of the maps between halfway picture and frames, which is above 0 where nothing folds."""
        return float(self.areas().amin())

    def areas(self, samples: int = SAMPLES) -> Tensor:
        """The det J of p -> p + s v(p) for s of -1, 1 and that between where it is least, or most: (3,h,w).

        It is looked at ``samples`` times between two knots.
        """
        return areas(self.control, self.extent, samples)

    @property
    def _half_sides(self) -> Tensor:
        return torch.tensor(self.extent, dtype=torch.float32)

    def _sampled(self, samples: int) -> Tensor:
        """The field (1,2,h,w), ``samples`` times between two knots, its borders included."""
        rows, columns = (
            basis(count - 3, torch.linspace(-1, 1, samples * (count - 3) + 1)) for count in self.control.shape[1:]
        )
        return torch.einsum("hy,cyx,wx->chw", rows, self.control, columns)[None]


def extent_of(size: tuple[int, int]) -> tuple[float, float]:
    """Half the width and half the height of a picture of ``size``, in units of half the root of its area."""
    width, height = size
    return math.sqrt(width / height), math.sqrt(height / width)


def cells(extent: tuple[float, float], count: int) -> tuple[int, int]:
    """Rows and columns of knots' intervals, ``count`` along either side of a square."""
    return max(2, round(count * extent[1])), max(2, round(count * extent[0]))


def basis(count: int, points: Tensor, order: int = 0) -> Tensor:
    """Cubic B-splines over ``count`` intervals of [-1,1] at points (N,), or a derivative: (N, count + 3)."""
    position = ((points.double() + 1) / 2 * count).clamp(0, count)
    interval = position.floor().clamp(max=count - 1).long()
    u = position - interval
    weights = {
        0: ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3),
        1: (-3 * (1 - u) ** 2, 9 * u**2 - 12 * u, -9 * u**2 + 6 * u + 3, 3 * u**2),
        2: (6 * (1 - u), 18 * u - 12, -18 * u + 6, 6 * u),
    }[order]
    columns = interval[:, None] + torch.arange(4, device=points.device)
    matrix = torch.zeros(len(points), count + 3, dtype=torch.float64, device=points.device)
    scaled = torch.stack(weights, 1) / 6 * (count / 2) ** order
    return matrix.scatter(1, columns, scaled).float()


def refined(control: Tensor, rows: int, columns: int) -> Tensor:
    """The same field by other intervals: exact where these divide the old ones, else by least squares."""
    for axis, count in ((1, rows), (2, columns)):
        old_count = control.shape[axis] - 3
        points = torch.linspace(-1, 1, 8 * count + 1)
        new, old = basis(count, points).double(), basis(old_count, points).double()
        conversion = torch.linalg.lstsq(new, old).solution.float()
        control = torch.tensordot(conversion, control, dims=([1], [axis])).movedim(0, axis)
    return control


def areas(control: Tensor, extent: tuple[float, float], samples: int) -> Tensor:
    """See :meth:`Warp.areas`; with gradients to ``control`` (2, rows + 3, columns + 3)."""
    points = [torch.linspace(-1, 1, samples * (count - 3) + 1) for count in control.shape[1:]]
    rows, columns = (
        [basis(count - 3, axis_points, order) for order in (0, 1)]
        for count, axis_points in zip(control.shape[1:], points, strict=True)
    )
    along_x = torch.einsum("hy,cyx,wx->chw", rows[0], control, columns[1]) / extent[0]
    along_y = torch.einsum("hy,cyx,wx->chw", rows[1], control, columns[0]) / extent[1]
    trace, det = along_x[0] + along_y[1], along_x[0] * along_y[1] - along_x[1] * along_y[0]
    extremum = (-trace / (2 * torch.where(det == 0, 1e-12, det))).clamp(-1, 1).detach()
    ones = torch.ones_like(extremum)
    return torch.stack([1 + s * trace + s * s * det for s in (-ones, ones, extremum)])


def _mesh(xs: Tensor, ys: Tensor) -> Tensor:
    """All (x, y), (H,W,2)."""
    rows, columns = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([columns, rows], -1)


def _interpolated(values: Tensor, unit_grid: Tensor, mode: str) -> Tensor:
    """Values (1,C,h,w) whose corners are those of [-1,1], at places (H,W,2) there: (H,W,C)."""
    looked_up = _looked_up(values, unit_grid[None], mode=mode, padding_mode="border", align_corners=True)
    return looked_up[0].permute(1, 2, 0)


def _looked_up(values: Tensor, grid: Tensor, **how: Any) -> Tensor:
    """The grid_sample of one picture (1,C,h,w) at a grid (1,H,W,2), on all of a CPU's threads: (1,C,H,W).

    torch gives each picture of a batch a thread, and one picture a single one.
    """
    threads = torch.get_num_threads() if values.device.type == "cpu" else 1
    rows = grid.shape[1] // threads
    if threads == 1 or not rows:
        return F.grid_sample(values, grid, **how)
    bands = grid[0, : rows * threads].reshape(threads, rows, *grid.shape[2:])
    looked_up = F.grid_sample(values.expand(threads, -1, -1, -1), bands, **how)
    parts = [*looked_up.split(1)]
    if rows * threads < grid.shape[1]:
        parts.append(F.grid_sample(values, grid[:, rows * threads :], **how))
    return torch.cat(parts, 2)
