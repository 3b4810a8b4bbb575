"""How well are two pictures brought into register? ``python -m tests.benchmarks.registration [--data FOLDER]``.

Photographs against themselves under random smooth warps that are known, with other colours, another contrast and
noise; and two portraits, whose faces' landmarks the solver is not given. Errors are in % of the side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from morph.blending.warp import Warp
from morph.diffusion.backbones.loading import load_model
from morph.embedded.photographs import read_captions
from morph.perception.correspondence import find
from morph.perception.dense import AlexNet, Denoiser, Looker, Vgg16
from morph.perception.lpips import PerceptualDistance
from tests.benchmarks.held_out import choose, load
from tests.benchmarks.inbetween import SAMPLES
from tests.benchmarks.scaling import table

NAMES = ("cat", "raccoon", "hopper", "collins", "coffee", "rocket", "red-panda", "raccoon-wide")
PORTRAITS = ("hopper", "collins")
SIDE = 256
FAR = 0.15
"""The longest way of any place, in sides."""
LEAST = 0.2
"""The det J that random warps have at least."""
LOOKERS = ("vgg16", "alexnet", "unet")
COLUMNS = ("features", "photographs", "moved, median", "error, median", "95th percentile", "CPU seconds a pair")


@dataclass(frozen=True)
class Trial:
    """Two pictures (1,3,H,W) in [-1,1], and the field between them that is known."""

    first: Tensor
    second: Tensor
    warp: Warp

    @classmethod
    def of(cls, picture: Tensor, seed: int) -> Trial:
        """A square picture, and the same moved, in another light, and noisy."""
        generator = torch.Generator().manual_seed(seed)
        warp = random_warp(generator)
        side = picture.shape[3]
        second = warp.warped(picture, warp.places(1.0, (side, side))[0])
        contrast, light = torch.rand(2, 1, 3, 1, 1, generator=generator)
        noise = torch.randn(picture.shape, generator=generator)
        return cls(picture, (second * (0.75 + contrast / 2) + 0.3 * light - 0.15 + 0.06 * noise).clamp(-1, 1), warp)

    def errors(self, found: Warp) -> Tensor:
        """How far off places of the first picture land in the second, (N,), in % of the side."""
        places = [warp.places(0.0, (64, 64))[1] for warp in (self.warp, found)]
        return (places[0] - places[1]).norm(dim=-1).flatten() * 50


def random_warp(generator: torch.Generator) -> Warp:
    """A smooth field of a square that leaves its borders where they are."""
    control = torch.randn(2, 8, 8, generator=generator)
    for own, axis in zip(control, (1, 0), strict=True):
        own.index_fill_(axis, torch.tensor([0, 1, 6, 7]), 0)
    # the pictures are two units wide, and each moves half of the way
    longest = Warp(control, (1.0, 1.0), torch.ones(4, 4)).places(0.5, (64, 64))
    control *= FAR / ((longest[1] - longest[0]).norm(dim=-1).max() / 2)
    while (warp := Warp(control, (1.0, 1.0), torch.ones(4, 4))).least_area() < LEAST:
        control = control * 0.97
    return warp


def sample(name: str, side: int = SIDE) -> Tensor:
    """A sample photograph (1,3,side,side) in [-1,1]."""
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        pixels = np.array(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def samples() -> Iterator[Tensor]:
    """All sample photographs that show things."""
    return (sample(name) for name in NAMES)


def held_out(data: Path) -> Iterator[Tensor]:
    """24 photographs that the embedded model never saw, always the same."""
    pairs = choose([photograph for photograph in read_captions(data) if photograph.held_out], 4)
    return iter(load(data, [one for chosen in pairs.values() for pair in chosen for one in pair], SIDE).split(1))


def landmarks(name: str) -> Tensor:
    """Where the face in a sample has MediaPipe's 468 landmarks, (468,2), in [0,1]."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    with Image.open(SAMPLES / f"{name}.jpg") as image, FaceMesh(static_image_mode=True) as mesh:
        (face,) = mesh.process(np.array(image.convert("RGB"))).multi_face_landmarks
    return torch.tensor([[point.x, point.y] for point in face.landmark])


def portraits(look: Looker) -> tuple[float, float]:
    """The mean error of the landmarks of a face in another portrait, before and after, in % of the side."""
    start, end = (landmarks(name) for name in PORTRAITS)
    first, second = (sample(name) for name in PORTRAITS)
    warp = find(first, second, look).warp
    places = warp.places(0.0, (SIDE, SIDE))[1].permute(2, 0, 1)[None]
    got = F.grid_sample(places, (start * 2 - 1)[None, None], align_corners=False)[0, :, 0].T
    return tuple(float((100 * (one - end)).norm(dim=1).mean()) for one in (start, (got + 1) / 2))


def looker(name: str) -> Looker:
    """What is called so in the settings."""
    if name == "vgg16":
        return Vgg16()
    return AlexNet(PerceptualDistance()) if name == "alexnet" else Denoiser(load_model("embedded"))


def measured(look: Looker, pictures: Iterator[Tensor]) -> tuple[int, Tensor, Tensor, float]:
    """How many there were, all ways and all errors, in % of the side, and CPU seconds a picture."""
    ways, errors, seconds = [], [], 0.0
    for number, picture in enumerate(pictures):
        trial = Trial.of(picture, number)
        start = time.process_time()
        found = find(trial.first, trial.second, look)
        seconds += time.process_time() - start
        ways.append(trial.errors(Warp.still((1, 1))))
        errors.append(trial.errors(found.warp))
        figures = f"{errors[-1].median():.2f} {errors[-1].quantile(0.95):.2f}"
        click.echo(f"{look.name} {number + 1}: {figures}, matched {found.matched:.2f}", err=True)
    return len(errors), torch.cat(ways), torch.cat(errors), seconds / len(errors)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="photographs that were held out, too")
@click.option("--features", multiple=True, type=click.Choice(LOOKERS), help="all when left out")
def main(data: Path | None, features: tuple[str, ...]) -> None:
    """Print the tables as Markdown."""
    rows, faces = [], []
    for name in features or LOOKERS:
        look = looker(name)
        for kind, pictures in {"samples": samples(), **({"held out": held_out(data)} if data else {})}.items():
            count, ways, errors, seconds = measured(look, pictures)
            figures = ways.median(), errors.median(), errors.quantile(0.95), seconds
            rows.append((name, f"{count} {kind}", *(f"{float(figure):.2f}" for figure in figures)))
        faces.append((name, *(f"{error:.2f}" for error in portraits(look))))
    print(f"PyTorch's threads: {torch.get_num_threads()}")
    table(COLUMNS, rows)
    table(("features", f"landmarks of {' and '.join(PORTRAITS)}, before", "after"), faces)


if __name__ == "__main__":
    main()
