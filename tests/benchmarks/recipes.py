"""What do recipes teach the denoiser in equal time? ``python -m tests.benchmarks.recipes --data DIR --out DIR``.

Every recipe trains the embedded denoiser on the same photographs, in the same order, from the same weights, until
its steps took ``--minutes`` of CPU time of the process. What is made of the photographs once does not count, nor do
checkpoints and looking at what came out. Then the held-out loss by timestep, and FID and KID of samples under the
captions of held-out photographs against these. A run that was broken off goes on when the same command is given
again, and what is finished is not made anew; what is asked otherwise has a folder of its own in ``--out``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from safetensors import safe_open

from morph.diffusion.backbones.loading import load_model
from morph.embedded.denoiser import BINS, Denoiser, held_out_loss
from morph.embedded.photographs import read_captions
from morph.embedded.train import BATCH, FOLDER, Positive
from morph.embedded.training import Run, train
from morph.quality.fid import Inception, fid, kid
from morph.weights.locate import EMBEDDED
from morph.weights.read import digest_of
from tests.benchmarks.held_out import load
from tests.benchmarks.samples import draws, sample
from tests.benchmarks.scaling import table

USUAL = ("plain", "min-snr", "repa=up_blocks.0", "min-snr+repa=up_blocks.0")
GAMMA = 5.0
UNBOUNDED = 10**9
"""Steps: the run ends by its minutes."""
COLUMNS = (
    *("recipe", "seed", "steps", "CPU minutes", "CPU s a step", "held-out loss"),
    *(f"t{i}" for i in range(BINS)),
    *("FID", "KID x 1000"),
)


class Recipe(NamedTuple):
    """What the denoiser's stage is told, and what that is called."""

    name: str
    gamma: float | None
    block: str | None


class Recipes(click.ParamType):
    """``plain``, or of ``min-snr[=GAMMA]`` and ``repa=BLOCK`` one, or both with a plus."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Recipe:
        """The recipe of a name."""
        if isinstance(value, Recipe):
            return value
        pairs = [] if value == "plain" else [part.partition("=")[::2] for part in value.split("+")]
        parts = dict(pairs)
        twice = len(parts) < len(pairs)
        try:
            gamma = float(parts.pop("min-snr") or GAMMA) if "min-snr" in parts else None
        except ValueError:
            gamma = 0.0
        block = parts.pop("repa", None)
        known = block is None or re.fullmatch(r"mid_block|up_blocks\.\d", block)
        if parts or twice or not known or (gamma is not None and not 0 < gamma < math.inf):
            self.fail(f"{value!r} is not plain, min-snr[=GAMMA], repa=BLOCK or two of them with a plus", param, ctx)
        return Recipe(value, gamma, block)


class Figures(NamedTuple):
    """What a recipe took, and what came of it; the losses from the clean end on."""

    steps: int
    cpu_minutes: float
    losses: list[float]
    fid: float
    kid: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table from the steps on."""
        mean = sum(self.losses) / len(self.losses)
        return (
            *(f"{self.steps}", f"{self.cpu_minutes:.1f}", f"{60 * self.cpu_minutes / self.steps:.2f}"),
            *(f"{mean:.4f}", *(f"{loss:.3f}" for loss in self.losses)),
            *(f"{self.fid:.1f}", f"{1000 * self.kid:.1f}"),
        )


def spent(checkpoint: Path) -> tuple[int, float]:
    """Steps, and the CPU minutes that they took."""
    with safe_open(checkpoint, "pt") as file:
        metadata = file.metadata()
    return int(metadata["step"]), float(metadata["cpu_seconds"]) / 60


def hashed(*asked: Any) -> str:
    """A name for what was asked."""
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:8]


def materials(data: Path, base: Path) -> tuple[str, ...]:
    """Which photographs and model: the folders, and hashes of the captions and of what the U-Net starts from."""
    files = (data / "captions.json", *sorted((base / "unet").glob("*.safetensors")))
    return str(data.resolve()), str(base.resolve()), *(digest_of(file, "the file") for file in files)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=FOLDER, required=True, help="a folder for each run, where it goes on")
@click.option("--cache", type=FOLDER, help="what is made of photographs once; OUT/cache by default")
@click.option("--recipe", "recipes", type=Recipes(), multiple=True, default=USUAL, show_default=True)
@click.option("--minutes", type=Positive(), default=60.0, show_default=True, help="CPU time of each recipe's steps")
@click.option("--fresh/--shipped", default=True, show_default=True, help="random weights, or the base's")
@click.option("--base", type=FOLDER, default=EMBEDDED, help="model to start from; the embedded one by default")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0,), show_default=True)
@click.option("--batch", default=BATCH["denoiser"], show_default=True)
@click.option("--rate", default=1.0, show_default=True, help="of learning; less to go on from trained weights")
@click.option("--sizes", default="128,160", show_default=True, help="image sides in px, multiples of 32")
@click.option("--device", default="cpu", show_default=True)
@click.option("--count", default=512, show_default=True, help="samples")
@click.option("--steps", default=30, show_default=True, help="of a sample")
@click.option("--guidance", default=3.0, show_default=True)
def main(
    data: Path,
    out: Path,
    cache: Path | None,
    recipes: tuple[Recipe, ...],
    minutes: float,
    fresh: bool,
    base: Path,
    seeds: tuple[int, ...],
    batch: int,
    rate: float,
    sizes: str,
    device: str,
    count: int,
    steps: int,
    guidance: float,
) -> None:
    """Train, measure, and print the table as Markdown."""
    cache = cache or out / "cache"
    sides = tuple(sorted(int(side) for side in sizes.split(",")))
    inception = Inception()
    chosen, _ = draws(read_captions(data), count)
    reference = inception.features(load(data, chosen, sides[0]))
    prompts = [photograph.caption for photograph in chosen]
    rows, made_of = [], materials(data, base)
    for seed, recipe in product(seeds, recipes):
        asked = (*made_of, minutes, fresh, batch, rate, sides, device, recipe, seed)
        folder = out / f"{recipe.name}-seed{seed}-{hashed(*asked)}"
        path = folder / f"figures-{hashed(count, steps, guidance)}.json"
        if not path.exists():
            for one in (folder, cache):
                one.mkdir(parents=True, exist_ok=True)
            weights = (batch, rate, fresh, seed, device)
            run = Run(data, folder, base, UNBOUNDED, *weights, cpu_minutes=minutes, cache=cache)
            stage = Denoiser(run, sides, gamma=recipe.gamma, block=recipe.block)
            train(stage, run)
            model = load_model(str(folder / "model")).to(device, torch.float32)
            features = inception.features(sample(model, prompts, sides[0], guidance, steps))
            figures = Figures(
                *spent(folder / "checkpoint.safetensors"),
                held_out_loss(model, stage.held_latents, stage.held_prompts),
                fid(features, reference),
                kid(features, reference),
            )
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(figures._asdict(), indent=1) + "\n", encoding="utf-8")
            unfinished.replace(path)
        figures = Figures(**json.loads(path.read_text(encoding="utf-8")))
        rows.append((recipe.name, str(seed), *figures.cells))
        click.echo(" ".join(rows[-1]), err=True)
    print(f"{len(prompts)} samples, PyTorch's threads: {torch.get_num_threads()}")
    table(COLUMNS, rows)


if __name__ == "__main__":
    main()
