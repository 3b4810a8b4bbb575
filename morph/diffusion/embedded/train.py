"""Train the embedded model again: ``python -m morph.diffusion.embedded.train STAGE --data FOLDER --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

import click

from morph.diffusion.files import EMBEDDED
from morph.errors import MorphError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("stage", type=click.Choice(["denoiser"]))
@click.option("--data", type=FOLDER, required=True, help="captions.json and photos-NN.tar")
@click.option("--out", type=FOLDER, required=True, help="checkpoints, log, sheets and the finished model")
@click.option(
    "--vae", type=FOLDER, default=EMBEDDED / "vae", help="a trained autoencoder; the embedded one by default"
)
@click.option("--steps", default=8000, show_default=True, help="may be raised when resuming")
@click.option("--sizes", default="128,160", show_default=True, help="image sides in px, multiples of 32")
@click.option("--batch", default=48, show_default=True, help="samples a step")
@click.option("--window", default=16, show_default=True, help="side of the latents of a sample, a multiple of 4")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(stage: str, data: Path, out: Path, vae: Path, sizes: str, **numbers: object) -> None:
    """Train STAGE on the photographs of --data; started again, it goes on from its last checkpoint."""
    from morph.diffusion.embedded.denoiser import Run, train_denoiser

    sides = tuple(sorted(int(side) for side in sizes.split(",")))
    try:
        train_denoiser(Run(data=data, out=out, vae=vae, sizes=sides, **numbers))  # type: ignore[arg-type]
    except MorphError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
