"""The photographs that the embedded model is trained on, and their latents, encoded once."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from morph import random
from morph.diffusion.model import LatentDiffusion
from morph.errors import InputError

ROWS = 32
"""Photographs that a network looks at together, once and for all."""


@dataclass(frozen=True)
class Photograph:
    """One captioned photograph in a tar."""

    name: str
    caption: str
    label: str
    held_out: bool
    shard: int


def read_captions(folder: Path) -> list[Photograph]:
    """The photographs that ``captions.json`` lists, in its order."""
    path = folder / "captions.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist; --data takes a folder of captions.json and photos-NN.tar")
    return [Photograph(**row) for row in json.loads(path.read_text())]


def open_photographs(folder: Path, photographs: Sequence[Photograph]) -> Iterator[Image.Image]:
    """RGB images in the given order; photographs of one shard should stand together."""
    for shard, group in groupby(photographs, key=lambda photograph: photograph.shard):
        with tarfile.open(folder / f"photos-{shard:02d}.tar") as archive:
            for photograph in group:
                try:
                    file = archive.extractfile(photograph.name)
                except KeyError:
                    file = None
                if file is None:
                    raise InputError(
                        f"{folder}: photos-{shard:02d}.tar holds no {photograph.name}, which captions.json lists"
                    )
                yield Image.open(io.BytesIO(file.read())).convert("RGB")


def load_pixels(folder: Path, photographs: Sequence[Photograph], size: int = 160) -> NDArray[np.uint8]:
    """All of them in memory, (N,size,size,3)."""
    pixels = np.empty((len(photographs), size, size, 3), np.uint8)
    images = tqdm(open_photographs(folder, photographs), "read", len(photographs), mininterval=5)
    for row, image in zip(pixels, images, strict=True):
        row[:] = image if image.size == (size, size) else image.resize((size, size), Image.Resampling.LANCZOS)
    return pixels


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pixels (B,H,W,3) to images (B,3,H,W) in [-1,1]."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def cache_latents(
    model: LatentDiffusion, data: Path, photographs: Sequence[Photograph], size: int, folder: Path
) -> NDArray[np.float16]:
    """Latents (N,C,h,w) of whole photographs at ``size`` px, as :func:`cache_maps` keeps them."""
    weights = [value.float().cpu().numpy().tobytes() for value in model.autoencoder.network.state_dict().values()]
    shape = (model.autoencoder.channels, size // 8, size // 8)
    return cache_maps("latents", model.encode, shape, weights, data, photographs, size, folder)


def identify(data: Path, photographs: Sequence[Photograph]) -> bytes:
    """What tells photographs of the folder ``data`` from any others: it, its tars' sizes, and their names."""
    shards = sorted({photograph.shard for photograph in photographs})
    sizes = [f"{shard} {(data / f'photos-{shard:02d}.tar').stat().st_size}" for shard in shards]
    return "\n".join([str(data.resolve()), *sizes, *(photograph.name for photograph in photographs)]).encode()


def cache_maps(
    name: str,
    see: Callable[[Tensor], Tensor],
    shape: tuple[int, int, int],
    identity: Iterable[bytes],
    data: Path,
    photographs: Sequence[Photograph],
    size: int,
    folder: Path,
) -> NDArray[np.float16]:
    """What ``see`` makes of whole photographs at ``size`` px, every second one mirrored: (N,*shape).

    ``see`` takes images (B,3,size,size) in [-1,1], and ``identity`` tells it from any other. The file is kept in
    ``folder``. Its name holds a hash of that and of :func:`identify`, so that other maps are never taken for these,
    and it takes that name only when it is whole. What was broken off goes on from its last rows. Several runs may
    share a folder.

    Raises:
        InputError: the file that is there is not of this shape.
    """
    digest = hashlib.blake2b(identify(data, photographs), digest_size=6)
    for part in identity:
        digest.update(part)
    path = folder / f"{name}-{size}-{digest.hexdigest()}.npy"
    whole_shape = len(photographs), *shape
    if not path.exists():
        partial = path.with_suffix(".partial")
        try:
            maps = open_memmap(partial, mode="r+")
        except (FileNotFoundError, ValueError):  # none, or one whose header was cut off
            maps = open_memmap(partial, mode="w+", dtype=np.float16, shape=whole_shape)
        _check_shape(partial, maps, whole_shape)
        starts = range(0, len(photographs), ROWS)
        # rows that were never written are zero; the last that were may have been cut off, and are made again
        first = max(0, sum(bool(maps[start].any()) for start in starts) - 1)
        images = open_photographs(data, photographs[first * ROWS :])
        for start in tqdm(starts[first:], f"{name} {size} px", len(starts), initial=first, mininterval=5):
            batch = []
            for i, image in enumerate(islice(images, ROWS), start):
                pixels = np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
                batch.append(pixels[:, ::-1] if (i + size // 32) % 2 else pixels)
            maps[start : start + ROWS] = see(to_tensor(np.stack(batch), torch.device("cpu"))).cpu().numpy()
            maps.flush()
        try:
            partial.replace(path)
        except FileNotFoundError:
            if not path.exists():  # another run that shares the folder was first, with the same numbers
                raise
    maps = np.load(path, mmap_mode="r")
    _check_shape(path, maps, whole_shape)
    return maps


def _check_shape(path: Path, maps: NDArray[np.float16], shape: tuple[int, ...]) -> None:
    if maps.shape != shape or maps.dtype != np.float16:
        raise InputError(f"{path} holds {maps.dtype} {maps.shape} where float16 {shape} was expected; delete it")


class Crop(NamedTuple):
    """Where a batch comes from: of photographs at ``size`` px the ``rows``, each cut to one and the same square.

    ``top``, ``left`` and ``side`` are counted in latents.
    """

    size: int
    rows: NDArray[np.int64]
    top: int
    left: int
    side: int

    def cut(self, maps: Tensor) -> Tensor:
        """The square of maps (B,C,h,w) that have one place a latent."""
        return maps[..., self.top : self.top + self.side, self.left : self.left + self.side]


@dataclass(frozen=True)
class LatentBatches:
    """Training batches that depend on (seed, step) alone, so that a resumed run sees what it would have seen.

    Each batch is of one size. Latents wider than ``window`` are cut to a random square of it: large
    photographs teach fine detail at the cost of small ones.
    """

    latents: dict[int, NDArray[np.float16]]
    prompts: Sequence[Sequence[str]]
    batch: int
    window: int
    seed: int

    def draw(self, step: int) -> tuple[Tensor, list[str]]:
        """Latents (B,C,h,w) float32 and B prompts, a tenth of them empty for classifier-free guidance."""
        rng = np.random.default_rng((self.seed, step))
        crop = self._crop(rng)
        clean = torch.from_numpy(self.latents[crop.size][crop.rows].astype(np.float32))
        prompts = ["" if rng.random() < 0.1 else str(rng.choice(self.prompts[row])) for row in crop.rows.tolist()]
        return crop.cut(clean), prompts

    def crop(self, step: int) -> Crop:
        """Where the latents of this step's batch come from."""
        return self._crop(np.random.default_rng((self.seed, step)))

    def _crop(self, rng: np.random.Generator) -> Crop:
        sizes = sorted(self.latents)
        size = sizes[rng.integers(len(sizes))]
        rows = rng.integers(len(self.prompts), size=self.batch)
        margin = self.latents[size].shape[-1] - self.window
        top, left = rng.integers(max(margin, 0) + 1, size=2)
        return Crop(size, rows, int(top), int(left), self.window)

    def noise(self, clean: Tensor, times: int, step: int) -> tuple[Tensor, Tensor]:
        """Noise like ``clean`` and a stratified draw of timesteps (B,) below ``times`` for this step."""
        generator = random.generator(self.seed, "train", step)
        noise = torch.randn(clean.shape, generator=generator)
        strata = torch.arange(len(clean)) + torch.rand(len(clean), generator=generator)
        return noise, (strata / len(clean) * times).long()


def phrasings(caption: str) -> tuple[str, ...]:
    """The ways in which a person may ask for what a caption names; the caption itself most often."""
    for opening in ("a photo of ", "a close-up photo of ", "a painting of "):
        if caption.startswith(opening):
            name = caption.removeprefix(opening)
            bare_name = name.removeprefix("a ").removeprefix("the ")
            style = "" if opening == "a photo of " else "painting of " if "painting" in opening else "close-up "
            return caption, caption, style + name, style + bare_name
    return (caption,)
