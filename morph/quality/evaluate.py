"""How good is a morph: even steps, no ghosts, things that move, sharp frames, ends that are the keyframes.

Frames are tensors (N,3,H,W) in [-1,1], in order, of one segment: from one keyframe to the next.

Path length and evenness are DiffMorpher's PPL and PDV (Zhang et al., arXiv 2312.07409, section 5) in raw
LPIPS-Alex. Both reward a plain cross-fade, so ghosting, motion and sharpness are measured beside them.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from morph.errors import InputError
from morph.media.film import read_video
from morph.media.frame import to_rgb8
from morph.media.keyframe import Fit, load_keyframe
from morph.media.pattern import is_stills
from morph.media.stills import read_frames
from morph.pacing import Evenness
from morph.perception.lpips import MIN_SIZE, PerceptualDistance
from morph.quality.motion import motion

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601
_OCTAVES = (1.0, 2.0, 4.0)  # Gaussian sigmas, px of an image of 256 px
_PSNR_CAP = 100.0  # dB; far above what 8 bits can show, and JSON has no infinity
_TINY = 1e-12  # keeps a division by zero defined


@dataclass(frozen=True, kw_only=True)
class Report(Evenness):
    """The figures of one segment. ``None`` means that there was nothing to measure it on.

    Attributes, besides how even it is:
        ghosting: 0 (like a photograph) to 1 (like a cross-fade), mean over the inner frames.
        motion: the share of the change from frame to frame that is motion, 0 (like a cross-fade) to 1 (like a pan).
        sharpness: fine detail of the inner frames against that of the ends, mean; 1 is as sharp.
        endpoint_psnr: first and last frame against the given keyframes, dB, at most 100.
    """

    ghosting: float | None
    motion: float | None
    sharpness: float | None
    endpoint_psnr: tuple[float, float] | None

    def as_dict(self) -> dict[str, float | list[float] | None]:
        """JSON-ready: numbers, lists and ``None`` alone."""
        ends = self.endpoint_psnr
        return asdict(self) | {"endpoint_psnr": None if ends is None else list(ends)}


def measure(
    frames: Tensor,
    ends: Tensor | None = None,
    alphas: Sequence[float] | None = None,
    *,
    lpips: PerceptualDistance | None = None,
) -> Report:
    """Measure the frames of one segment; on the CPU, but for LPIPS, which runs where it is.

    Args:
        frames: (N,3,H,W) in [-1,1]; N may be 0.
        ends: the keyframes (2,3,H,W) in [-1,1]; the first and the last frame when not known.
        alphas: each frame's position in [0,1]; estimated by :func:`positions` when not known.
        lpips: the distance to use, if there is one already.

    Raises:
        ValueError: shapes, number of alphas or value range do not fit.
    """
    if ends is not None and ends.shape != (2, *frames.shape[1:]):
        raise ValueError(f"ends {tuple(ends.shape)} are not two images like frames {tuple(frames.shape)}")
    if alphas is not None and len(alphas) != len(frames):
        raise ValueError(f"{len(frames)} frames but {len(alphas)} alphas")

    gaps = (lpips or PerceptualDistance()).consecutive(frames).tolist()
    frames = frames.cpu().float()
    end_psnr = mean_ghosting = mean_sharpness = None
    if ends is not None and len(frames):
        ends = ends.cpu().float()
        end_psnr = psnr(frames[0], ends[0]), psnr(frames[-1], ends[1])
    if len(frames) > 2:
        ends = frames[[0, -1]] if ends is None else ends
        frame_alphas = positions(frames, ends) if alphas is None else torch.tensor(alphas)
        inner_segment = (frames[1:-1], ends, frame_alphas[1:-1])
        mean_ghosting = ghosting(*inner_segment).mean().item()
        mean_sharpness = sharpness(*inner_segment).mean().item()
    return Report(
        **asdict(Evenness.of(gaps)),
        ghosting=mean_ghosting,
        motion=motion(frames),
        sharpness=mean_sharpness,
        endpoint_psnr=end_psnr,
    )


def measure_files(source: Path, ends: Sequence[Path] = (), fit: Fit = "crop") -> Report:
    """Measure a folder of numbered frames or a video, against keyframes brought to its size if given.

    Raises:
        InputError: nothing there that can be read.
    """
    decoded = read_frames(source) if is_stills(source) and not source.is_file() else read_video(source)
    pixels = np.stack([to_rgb8(frame) for frame in decoded])
    frames = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    if min(frames.shape[2:]) < MIN_SIZE:
        raise InputError(f"{source}: frames of {frames.shape[3]}x{frames.shape[2]} are too small to measure")
    size = (frames.shape[3], frames.shape[2])
    keyframes = [load_keyframe(end, "", size, fit).pixels for end in ends]
    return measure(frames, torch.cat(keyframes) if keyframes else None)


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of two images in [-1,1], dB; 100 at most, which equal images reach."""
    error = (a.double() - b.double()).square().mean().item()
    return min(_PSNR_CAP, 10 * math.log10(4 / error)) if error > 0 else _PSNR_CAP


def positions(frames: Tensor, ends: Tensor) -> Tensor:
    """Where each frame lies between the ends, (N,) in [0,1], from the pictures alone.

    The share of the path end, frame 0, ..., frame N-1, end that lies before the frame, each step as long as
    the root mean square difference of the two pictures. Perceptual length would not do: on a cross-fade it
    is far from linear, where this is alpha exactly, however unevenly the fade is timed.
    """
    path = torch.cat([ends[:1], frames, ends[1:]]).flatten(1)
    steps = torch.stack([(b - a).square().mean().sqrt() for a, b in pairwise(path)])
    before = steps.cumsum(0)
    if before[-1] <= _TINY:
        return torch.linspace(0, 1, len(frames))
    return before[:-1] / before[-1]


def ghosting(frames: Tensor, ends: Tensor, alphas: Tensor) -> Tensor:
    """How far each frame is the two ends laid over one another: (N,) from 0 to 1.

    Ghosts are both ends' edges at once. So the frame is explained by least squares as x A + y B, once in
    each band of edges, since a blur dims the bands unequally and must not hide a ghost. Ghosting is the
    share of the frame's energy so explained, times the balance of x / (1 - alpha) and y / alpha: the smaller
    over the larger, 0 if one is negative. A cross-fade has 1 at every alpha; either end has 0, and so has a
    picture with edges of its own. Ends that hardly differ cannot ghost: as their difference falls
    below a tenth of their energy, ghosting falls to 0.

    Args:
        frames: (N,3,H,W) in [-1,1].
        ends: (2,3,H,W) in [-1,1].
        alphas: (N,) in [0,1].
    """
    alpha = alphas.double().clamp(1e-3, 1 - 1e-3)
    end_shares = torch.stack([1 - alpha, alpha], dim=1)
    ghost_energy = total_energy = torch.zeros(len(frames), dtype=torch.float64)
    for frame_band, end_band in zip(_bands(frames), _bands(ends), strict=True):
        gram = end_band @ end_band.T
        # The ridge only keeps flat and equal ends solvable; it is far too small to move the answer.
        ridge = (1e-9 * gram.trace() + _TINY) * torch.eye(2, dtype=torch.float64)
        weights = torch.linalg.solve(gram + ridge, end_band @ frame_band.T).T  # (N,2): x, y
        band_energy = frame_band.square().sum(1)
        explained = (band_energy - (frame_band - weights @ end_band).square().sum(1)).clamp_min(0)
        presence = (weights / end_shares).clamp_min(0)
        balance = presence.amin(1) / presence.amax(1).clamp_min(_TINY)
        difference = (end_band[0] - end_band[1]).square().sum() / gram.trace().clamp_min(_TINY)
        ghost_energy = ghost_energy + explained * balance * (10 * difference).clamp_max(1)
        total_energy = total_energy + band_energy
    return (ghost_energy / total_energy.clamp_min(_TINY)).float()


def sharpness(frames: Tensor, ends: Tensor, alphas: Tensor) -> Tensor:
    """Contrast of each frame's finest detail over that of the ends, interpolated at alpha: (N,) from 0.

    1 is as sharp as the ends, a cross-fade of unrelated pictures has about 0.7 halfway. Flat ends: 1.
    Arguments as in :func:`ghosting`.
    """
    detail, (first_detail, second_detail) = _detail(frames), _detail(ends)
    expected = torch.lerp(first_detail, second_detail, alphas.to(first_detail))
    return torch.where(expected > 1e-6, detail / expected.clamp_min(_TINY), 1.0)


def _detail(images: Tensor) -> Tensor:
    """Root mean square of what a fine blur takes away, (N,)."""
    luma = _luma(images)
    return (luma - _blur(luma, _OCTAVES[0])).square().mean((1, 2, 3)).sqrt()


def _bands(images: Tensor) -> list[Tensor]:
    """Edges by octave, differences of Gaussians: no flat colour, no grain. Each (N,H*W), float64."""
    luma = _luma(images)
    blurred = [_blur(luma, sigma) for sigma in _OCTAVES]
    return [(fine - coarse).flatten(1).double() for fine, coarse in pairwise(blurred)]


def _luma(images: Tensor) -> Tensor:
    return (images.float() * torch.tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def _blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N,1,H,W); ``sigma`` is that of an image whose shorter side has 256 px."""
    sigma *= min(images.shape[2:]) / 256
    radius = max(1, math.ceil(3 * sigma))
    x = torch.arange(-radius, radius + 1) / sigma
    kernel = torch.softmax(-x.square() / 2, dim=0)
    images = F.pad(images, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(images, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
