"""What each ``inversion`` brings back, and what it costs: ``python -m tests.benchmarks.inversions``.

Four sample photographs, inverted and denoised under no text: PSNR of the decoded latents against those that were
never inverted, the variance of the noise that was found, and how like it is to itself one place further.
"""

from __future__ import annotations

import time

import click
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import conditioned
from morph.diffusion.prediction import Prediction
from morph.diffusion.solvers import FireFlow, FixedPoint, Likeness, RfInversion, Solver, UniInv
from morph.media.keyframe import load_keyframe
from morph.steps import drain
from tests.benchmarks.bars import SAMPLES
from tests.benchmarks.scaling import table

PHOTOGRAPHS = ("cat", "raccoon", "hopper", "coffee")
SOLVERS: dict[str, Solver] = {
    "fixed-point, 1 iteration": FixedPoint(1),
    "fixed-point, 3 iterations": FixedPoint(3),
    "uni-inv": UniInv(),
    "fireflow": FireFlow(),
    "rf-inversion": RfInversion(0),
}


@click.command()
@click.option("--size", default=128, show_default=True)
@click.option("--model", "source", default="embedded", show_default=True)
def main(size: int, source: str) -> None:
    """Print the table as Markdown."""
    model = load_model(source)
    pixels = [load_keyframe(SAMPLES / f"{name}.jpg", "", (size, size)).pixels for name in PHOTOGRAPHS]
    clean = model.encode(torch.cat(pixels).to(model.device))
    like = Likeness(clean, torch.ones(len(clean)))
    predict = conditioned(model.conditional(), model.embed([""] * len(clean)))
    first, rows = model.decode(clean).clamp(-1, 1), []
    for steps in (20, 50):
        times = model.schedule.times(steps)
        for name, solver in SOLVERS.items():
            asked: list[int] = []

            def counted(latents: torch.Tensor, t: int, asked: list[int] = asked) -> Prediction:
                asked.append(t)
                return predict(latents, t)

            since = time.perf_counter()
            noise = drain(solver.invert(counted, model.schedule, clean, times))
            up = len(asked)
            again = drain(solver.sample(counted, model.schedule, noise, times, like))
            seconds = (time.perf_counter() - since) / len(clean)
            errors = (model.decode(again).clamp(-1, 1) - first).square().mean((1, 2, 3))
            decibels = 10 * torch.log10(4 / errors)
            variance = noise.var((1, 2, 3))
            centred = noise - noise.mean((2, 3), keepdim=True)
            beside = (centred[..., 1:] * centred[..., :-1]).mean() / centred.square().mean()
            rows.append(
                (
                    name,
                    str(steps),
                    f"{float(decibels.min()):.1f} to {float(decibels.max()):.1f}",
                    f"{float(variance.min()):.2f} to {float(variance.max()):.2f}",
                    f"{float(beside):.2f}",
                    f"{up} + {len(asked) - up}",
                    f"{seconds:.2f}",
                )
            )
            click.echo(" ".join(rows[-1]), err=True)
    table(("", "steps", "PSNR, dB", "variance", "likeness beside", "forwards", "seconds an image"), rows)


if __name__ == "__main__":
    main()
