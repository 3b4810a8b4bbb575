"""Train the embedded model again: ``python -m morph.embedded.train STAGE --data FOLDER --out FOLDER``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from morph.errors import MorphError
from morph.weights.locate import EMBEDDED

FOLDER = click.Path(path_type=Path, file_okay=False)
BATCH = {"autoencoder": 8, "clip": 256, "denoiser": 48, "semantic": 16}


class Positive(click.FloatRange):
    """A finite number above 0."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; nan is neither below nor above any bound."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


@click.command()
@click.argument("stage", type=click.Choice(list(BATCH)))
@click.option("--data", type=FOLDER, required=True, help="captions.json and photos-NN.tar")
@click.option("--out", type=FOLDER, required=True, help="checkpoints, log, sheets and the finished model")
@click.option("--cache", type=FOLDER, help="what is made of photographs once, for several runs; OUT by default")
@click.option("--base", type=FOLDER, default=EMBEDDED, help="model to start from; the embedded one by default")
@click.option("--fresh", is_flag=True, help="start this stage's part from random weights, not from the base's")
@click.option("--steps", type=click.IntRange(1), default=8000, show_default=True, help="may be raised on resume")
@click.option("--cpu-minutes", type=Positive(), help="for all steps; without, they take what they take")
@click.option("--batch", type=int, help=f"samples a step; by default {BATCH}")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--rate", default=1.0, show_default=True, help="of learning; less to go on from trained weights")
@click.option("--views", default=3, show_default=True, help="clip: how often each photograph is looked at")
@click.option("--sizes", default="128,160", show_default=True, help="denoiser: image sides in px, multiples of 32")
@click.option("--window", default=16, show_default=True, help="denoiser: side of a sample's latents")
@click.option("--min-snr", "gamma", type=Positive(), help="denoiser: gamma; the paper's is 5")
@click.option("--repa", "block", help="denoiser: align this block, such as up_blocks.0, to what VGG16 sees")
@click.option("--photographs", default=8000, show_default=True, help="semantic: how many it is trained on at most")
def main(
    stage: str,
    batch: int | None,
    views: int,
    sizes: str,
    window: int,
    gamma: float | None,
    block: str | None,
    photographs: int,
    cpu_minutes: float | None,
    **options: Any,
) -> None:
    """Train STAGE on the photographs of --data; started again, it goes on from its last checkpoint.

    From nothing: autoencoder, clip and denoiser in this order, each with --fresh and with the model that the
    one before it finished as its --base; then semantic, which never goes on from the base's.
    """
    from morph.embedded.training import Run, Stage, train

    run = Run(batch=batch or BATCH[stage], cpu_minutes=cpu_minutes or math.inf, **options)
    for folder in (run.out, run.cache_folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        part: Stage
        if stage == "autoencoder":
            from morph.embedded.autoencoder import Autoencoder

            part = Autoencoder(run)
        elif stage == "clip":
            from morph.embedded.clip import ImageText

            part = ImageText(run, views)
        elif stage == "semantic":
            from morph.embedded.semantic import Semantic

            part = Semantic(run, photographs)
        else:
            from morph.embedded.denoiser import Denoiser

            part = Denoiser(run, tuple(sorted(int(side) for side in sizes.split(","))), window, gamma, block)
        train(part, run)
    except MorphError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
