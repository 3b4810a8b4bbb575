"""The photographs that the embedded model is trained on, and their latents, encoded once."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

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
    model: LatentDiffusion, data: Path, photographs: Sequence[Photograph], size: int, out: Path
) -> NDArray[np.float16]:
    """Latents (N,C,h,w) of whole photographs at ``size`` px, every second one mirrored; kept in ``out``.

    The file's name holds a hash of the photographs' names and the autoencoder, so that other latents are
    never taken for these, and it takes that name only when it is whole.
    """
    digest = hashlib.blake2b("\n".join(photograph.name for photograph in photographs).encode(), digest_size=6)
    for value in model.autoencoder.network.state_dict().values():
        digest.update(value.float().cpu().numpy().tobytes())
    path = out / f"latents-{size}-{digest.hexdigest()}.npy"
    if not path.exists():
        side = size // 8
        shape = (len(photographs), model.autoencoder.channels, side, side)
        partial = path.with_suffix(".partial")
        latents = open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        images = tqdm(open_photographs(data, photographs), f"encode {size} px", len(photographs))
        batch: list[Tensor] = []
        written = 0
        for i, image in enumerate(images):
            pixels = np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
            mirrored = pixels[:, ::-1] if (i + size // 32) % 2 else pixels
            batch.append(torch.from_numpy(mirrored.copy()).permute(2, 0, 1) / 127.5 - 1)
            if len(batch) == 32 or i + 1 == len(photographs):
                latents[written : written + len(batch)] = model.encode(torch.stack(batch)).cpu().numpy()
                written += len(batch)
                batch.clear()
        latents.flush()
        partial.replace(path)
    return np.load(path, mmap_mode="r")


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
        sizes = sorted(self.latents)
        size = sizes[rng.integers(len(sizes))]
        rows = rng.integers(len(self.prompts), size=self.batch)
        margin = self.latents[size].shape[-1] - self.window
        top, left = rng.integers(max(margin, 0) + 1, size=2)
        clean = self.latents[size][rows, :, top : top + self.window, left : left + self.window]
        prompts = ["" if rng.random() < 0.1 else str(rng.choice(self.prompts[row])) for row in rows.tolist()]
        return torch.from_numpy(clean.astype(np.float32)), prompts

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
