"""What a model cannot reconstruct of two keyframes, given back to the frames between them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.blending.local import local_mean
from morph.scaling import Size, enlarged, size_of


def restored(
    frames: Tensor,
    alpha: Tensor,
    reconstructions: tuple[Tensor, Tensor],
    residuals: tuple[Tensor, Tensor],
    reach: float,
) -> Tensor:
    """Frames (B,3,h,w) in [-1,1] at alphas (B,), with the residuals of their ends, so that nothing pops there.

    Alphas (B,1,h,w) are those of each place, where places do not all go alike. ``reconstructions``, (1,3,h,w) each,
    are what the model makes of the ends; a residual, (1,3,H,W), is what to add to that, enlarged, to have the end's
    pixels. It fades out over ``reach``, a share of the way above 0. Where both have a say, each place takes more
    from the end that the frame is more like there: two residuals over one another would be two pictures.
    The result is (B,3,H,W): frames are enlarged to the residuals' size.
    """
    fades = [_fade(distance / reach) for distance in (alpha, 1 - alpha)]
    differences = [_local_mean((frames - end).square()) for end in reconstructions]
    end_weights = fades[0] * differences[1].square(), fades[1] * differences[0].square()
    tiny = torch.finfo(frames.dtype).tiny
    first_share = (end_weights[0] + tiny) / (end_weights[0] + end_weights[1] + 2 * tiny)
    size = size_of(residuals[0])
    first_share, total = (_at(size, share) for share in (first_share, fades[0] + fades[1]))
    residual = torch.lerp(residuals[1], residuals[0], first_share)
    return (enlarged(frames, size) + total * residual).clamp(-1, 1)


def _fade(distance: Tensor) -> Tensor:
    """From 1 at no distance to 0 at 1 and beyond, as a cosine does: (B,1,1,1) of (B,), or (B,1,h,w)."""
    fade = torch.cos(distance.clamp(max=1) * (torch.pi / 2)).square()
    return fade.reshape(-1, 1, 1, 1) if fade.ndim == 1 else fade


def _at(size: Size, shares: Tensor) -> Tensor:
    """Shares (B,1,h,w) of each place at another size, where they stay shares; one for all (B,1,1,1) as it is."""
    if size_of(shares) in {(1, 1), size}:
        return shares
    return F.interpolate(shares, size[::-1], mode="bilinear", align_corners=False)


def _local_mean(values: Tensor) -> Tensor:
    """Means (B,1,H,W) of values (B,C,H,W) around every place, within about an eighth of the shorter side."""
    return local_mean(values.mean(1, keepdim=True), min(values.shape[2:]) // 16 * 2 + 1)
