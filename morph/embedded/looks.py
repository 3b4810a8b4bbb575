"""Looks that a picture can have, sharp or with a fault that morphs have, and what a CLIP sees of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from morph import random
from morph.embedded.photographs import Photograph, identify, load_pixels, to_tensor
from morph.perception.tower import STATISTICS, AlexNetTower

SIZE = 160
KINDS = ("sharp", "blurry", "noisy", "distorted", "double")
"""The looks that a picture can have: as it is, or with one of the faults that morphs have."""
CHUNK = 64
"""Photographs that are looked at together, which decides what is laid over what."""
PLAIN = 2
"""The first views: the photographs as they are, and mirrored."""


@dataclass(frozen=True)
class View:
    """One look at every photograph: statistics (N,2304), its kind (N,), and which other one a double shows (N,)."""

    statistics: NDArray[np.float16]
    kinds: NDArray[Any]
    others: NDArray[Any]


def cache_view(
    tower: AlexNetTower, data: Path, photographs: Sequence[Photograph], seed: int, number: int, out: Path
) -> View:
    """What AlexNet sees of the photographs, every time in other crops, colours and looks; kept in ``out``.

    Its weights never change, so that each look costs once what it would cost in every epoch. The file's name holds
    a hash of the photographs and the seed, and it takes that name only when it is whole.
    """
    rng = np.random.default_rng((seed, number))
    count = len(photographs)
    kinds = np.zeros(count, int) if number < PLAIN else rng.choice(len(KINDS), count, p=(0.4, *[0.15] * 4))
    starts = range(0, count, CHUNK)
    others = np.concatenate([start + np.roll(np.arange(min(CHUNK, count - start)), 1) for start in starts])
    digest = hashlib.blake2b(f"{seed}\n".encode() + identify(data, photographs), digest_size=6).hexdigest()
    path = out / f"view-{number:02d}-{digest}.npy"
    if not path.exists():
        pixels = load_pixels(data, photographs, SIZE)
        partial = path.with_suffix(".partial")
        statistics = open_memmap(partial, mode="w+", dtype=np.float16, shape=(count, STATISTICS))
        for start in tqdm(starts, f"look {number}", mininterval=30):
            part = slice(start, start + CHUNK)
            images = to_tensor(pixels[part], tower.mean.device)
            if number == 1:
                images = images.flip(3)
            elif number >= PLAIN:
                images = augment(images, seed, number * count + start)
                generator = random.generator(seed, "spoil", number * count + start)
                images = spoil(images, kinds[part], others[part] - start, generator)
            statistics[part] = tower.statistics(images).cpu().numpy()
        statistics.flush()
        partial.replace(path)
    return View(np.load(path, mmap_mode="r"), kinds, others)


def augment(images: Tensor, seed: int, step: int) -> Tensor:
    """Random crops of 160 px, mirrored half of the time, with other brightness, contrast and saturation."""
    generator = random.generator(seed, "augment", step)
    randoms = torch.rand(len(images), 7, generator=generator).to(images)
    scale = 1 - 0.45 * randoms[:, 0].square()
    aspect = 1 + 0.2 * (randoms[:, 1] - 0.5)
    width, height = (scale * aspect).clamp(max=1), (scale / aspect).clamp(max=1)
    flip = torch.where(randoms[:, 2] < 0.5, -1.0, 1.0)
    theta = torch.zeros(len(images), 2, 3).to(images)
    theta[:, 0, 0], theta[:, 1, 1] = width * flip, height
    theta[:, 0, 2], theta[:, 1, 2] = (2 * randoms[:, 3] - 1) * (1 - width), (2 * randoms[:, 4] - 1) * (1 - height)
    grid = F.affine_grid(theta, [len(images), 3, SIZE, SIZE], align_corners=False)
    images = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (0.7 + 0.6 * randoms[:, 5, None, None, None])
    return (images * (0.8 + 0.4 * randoms[:, 6, None, None, None])).clamp(-1, 1)


def spoil(images: Tensor, kinds: NDArray[Any], others: NDArray[Any], generator: torch.Generator) -> Tensor:
    """Give every image (B,3,160,160) the look of its kind; a double exposure is with the image of ``others``."""
    result = images.clone()
    for i, kind in enumerate(kinds.tolist()):
        strength = float(torch.rand((), generator=generator))
        image = images[i : i + 1]
        if KINDS[kind] == "blurry":
            result[i] = blurred(image, 1.0 + 3.0 * strength)[0]
        elif KINDS[kind] == "noisy":
            noise = torch.randn(image.shape, generator=generator).to(image)
            result[i] = (image + (0.12 + 0.4 * strength) * noise)[0]
        elif KINDS[kind] == "distorted":
            result[i] = warped(image, 0.06 + 0.1 * strength, generator)[0]
        elif KINDS[kind] == "double":
            result[i] = images[others[i]].lerp(images[i], 0.35 + 0.3 * strength)
    return result.clamp(-1, 1)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Images (B,3,H,W) under a Gaussian of ``sigma`` px, mirrored at the edges.

    Two products with band matrices: on a CPU they take a fraction of what depthwise convolutions do.
    """
    for side in (2, 3):
        count = images.shape[side]
        coordinates = torch.arange(count, dtype=torch.float32, device=images.device)
        # to a pixel, and to its image beyond the edge
        distance, mirrored_distance = coordinates[:, None] - coordinates, coordinates[:, None] + coordinates + 1
        distances = torch.stack([distance, mirrored_distance, mirrored_distance - 2 * count])
        weights = torch.exp(-0.5 * (distances / sigma).square()).sum(0)
        weights = weights / weights.sum(1, keepdim=True)
        images = torch.einsum("bchw,vh->bcvw" if side == 2 else "bchw,vw->bchv", images, weights)
    return images


def warped(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Images (B,3,H,W) bent by a smooth random flow of about ``amount`` of half their side."""
    coarse = torch.randn(len(images), 2, 9, 9, generator=generator).to(images) * amount
    flow = F.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    identity = torch.eye(2, 3).to(images).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False) + flow
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
