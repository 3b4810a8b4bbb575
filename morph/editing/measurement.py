"""What is measured of a picture, linearly, and what in the picture the measure leaves open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.errors import SettingsError

LUMA = 0.2126, 0.7152, 0.0722
"""How much red, green and blue count for brightness (ITU-R BT.709)."""


class Measurement(ABC):
    """A of y = A x, with a right inverse: A ``spread`` (y) is y. Pictures x are (B,3,H,W) in [-1,1]."""

    @abstractmethod
    def measured(self, pixels: Tensor) -> Tensor:
        """A x: what is measured of pictures (B,3,H,W)."""

    @abstractmethod
    def spread(self, measured: Tensor) -> Tensor:
        """A^+ y: the plainest pictures (B,3,H,W) of which this is measured."""

    @abstractmethod
    def least(self, shares: Tensor) -> Tensor:
        """Of numbers for each value (B,3,H,W), the least of those that are measured together, at each of them."""

    def fitted(self, pixels: Tensor, wanted: Tensor) -> Tensor:
        """A^+ y + (I - A^+ A) x: pictures (B,3,H,W) of which ``wanted`` (B or 1,...) is measured, else as they are.

        Wang et al., 2022. They may leave [-1,1].
        """
        return pixels + self.spread(wanted - self.measured(pixels))

    def held(self, pixels: Tensor, wanted: Tensor) -> Tensor:
        """:meth:`fitted` within [-1,1]: where it would leave it, what the measure leaves open is made smaller.

        Exact to float32, where ``wanted`` was measured of a picture within [-1,1].
        """
        centre = self.spread(wanted.double())
        detail = pixels.double().clamp(-1, 1)
        detail = detail - self.spread(self.measured(detail))
        room = (torch.where(detail > 0, 1.0, -1.0) - centre) / torch.where(detail == 0, 1.0, detail)
        shares = self.least(torch.where(detail == 0, 1.0, room).clamp(0, 1))
        return (centre + shares * detail).clamp(-1, 1).float()


@dataclass(frozen=True)
class Grey(Measurement):
    """Brightness (B,1,H,W); all colours of a brightness are left open."""

    def measured(self, pixels: Tensor) -> Tensor:
        """See :class:`Measurement`."""
        return (pixels * torch.tensor(LUMA).to(pixels).reshape(-1, 1, 1)).sum(1, keepdim=True)

    def spread(self, measured: Tensor) -> Tensor:
        """See :class:`Measurement`; in grey."""
        return measured.repeat(1, 3, 1, 1)

    def least(self, shares: Tensor) -> Tensor:
        """See :class:`Measurement`."""
        return self.spread(shares.amin(1, keepdim=True))


@dataclass(frozen=True)
class Pooled(Measurement):
    """Means of squares of ``size`` pixels a side (B,3,H/size,W/size); what is finer is left open.

    Raises:
        SettingsError: a picture's sides are no multiples of ``size``.
    """

    size: int

    def measured(self, pixels: Tensor) -> Tensor:
        """See :class:`Measurement`."""
        height, width = pixels.shape[-2:]
        if height % self.size or width % self.size:
            raise SettingsError(
                f"a picture of {width}x{height} cannot be pooled by {self.size}: its sides must be multiples"
            )
        return F.avg_pool2d(pixels, self.size)

    def spread(self, measured: Tensor) -> Tensor:
        """See :class:`Measurement`; in squares of one colour."""
        return F.interpolate(measured, scale_factor=self.size, mode="nearest")

    def least(self, shares: Tensor) -> Tensor:
        """See :class:`Measurement`."""
        return self.spread(-F.max_pool2d(-shares, self.size))


@dataclass(frozen=True, eq=False)
class Known(Measurement):
    """Those values whose mask (B or 1,1,H,W) is 0, the others as 0; where it is not 0 all is left open."""

    mask: Tensor

    def measured(self, pixels: Tensor) -> Tensor:
        """See :class:`Measurement`."""
        return torch.where(self.mask > 0, 0.0, pixels)

    def spread(self, measured: Tensor) -> Tensor:
        """See :class:`Measurement`; 0 where nothing is known."""
        return self.measured(measured)

    def least(self, shares: Tensor) -> Tensor:
        """See :class:`Measurement`; each is by itself."""
        return shares
