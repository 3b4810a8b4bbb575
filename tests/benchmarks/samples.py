"""How good are samples of the embedded denoiser? ``python -m tests.benchmarks.samples --data FOLDER``.

Samples under the captions of held-out photographs, over a sweep of guidance, against those photographs: FID and
KID of the same numbers of pictures. As bounds, the photographs decoded from their latents, and other held-out
photographs of the same classes; and the held-out loss by timestep.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from torch import Tensor

from morph import random
from morph.diffusion import ddim
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import classifier_free, conditioned
from morph.diffusion.model import LatentDiffusion
from morph.embedded.denoiser import held_out_loss
from morph.embedded.photographs import Photograph, read_captions
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.quality.fid import Inception, fid, kid
from tests.benchmarks.held_out import load


def sample(model: LatentDiffusion, prompts: list[str], size: int, guidance: float, steps: int) -> Tensor:
    """One sample (N,3,size,size) per prompt, the same noise for every guidance."""
    side, channels = size // model.geometry.factor, model.denoiser.channels
    times = model.schedule.times(steps)
    made = []
    for start in range(0, len(prompts), 16):
        some = prompts[start : start + 16]
        noise = [random.normal((channels, side, side), 0, "sample", start + i) for i in range(len(some))]
        condition, negative = model.embed(some), model.embed([""] * len(some))
        denoiser = model.conditional()
        guided = classifier_free(denoiser, condition, negative, guidance)
        predict = conditioned(denoiser, condition) if guidance == 1 else guided
        *_, last = ddim.sample(predict, model.schedule, torch.stack(noise).to(model.device), times)
        made.append(model.decode(last.latents).cpu())
    return torch.cat(made)


def draws(photographs: list[Photograph], count: int) -> tuple[list[Photograph], list[Photograph]]:
    """Two lists of up to ``count`` held-out photographs of the same classes, none in both, always the same."""
    held = [photograph for photograph in photographs if photograph.held_out]
    # neighbours in a shuffled order of names: two draws of the same classes
    held.sort(key=lambda photograph: (photograph.caption, photograph.name))
    stride = max(2, len(held) // count)
    return held[::stride][:count], held[1::stride][:count]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", "source", default="embedded", show_default=True)
@click.option("--count", default=128, show_default=True)
@click.option("--size", default=128, show_default=True)
@click.option("--steps", default=30, show_default=True)
@click.option("--guidance", "sweep", multiple=True, type=float, default=(1.0, 2.0, 3.0, 5.0), show_default=True)
@click.option("--sheets", type=click.Path(path_type=Path), help="folder for one sheet per guidance")
def main(
    data: Path, source: str, count: int, size: int, steps: int, sweep: tuple[float, ...], sheets: Path | None
) -> None:
    """Print the tables as Markdown."""
    model, inception = load_model(source), Inception()
    chosen, others = draws(read_captions(data), count)
    photographs = load(data, chosen, size)
    reference = inception.features(photographs)
    prompts = [photograph.caption for photograph in chosen]
    latents = torch.cat([model.encode(part) for part in photographs.split(16)])
    decoded = torch.cat([model.decode(part).cpu() for part in latents.split(16)])
    print("| | FID | KID x 1000 |\n|---|---|---|")
    for name, pictures in (("other photographs", load(data, others, size)), ("decoded latents", decoded)):
        features = inception.features(pictures)
        print(f"| {name} | {fid(features, reference):.1f} | {1000 * kid(features, reference):.1f} |", flush=True)
    for guidance in sweep:
        made = sample(model, prompts, size, guidance, steps)
        features = inception.features(made)
        figures = f"{fid(features, reference):.1f} | {1000 * kid(features, reference):.1f}"
        print(f"| samples at guidance {guidance:g} | {figures} |", flush=True)
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
            rows = list(to_uint8(made[:: max(1, len(made) // 32)][:32]))
            write_png(sheets / f"guidance-{guidance:g}.png", contact_sheet(rows, 8))
    losses = held_out_loss(model, latents, prompts)
    print(f"\nheld-out loss {sum(losses) / len(losses):.4f}, from the clean end:", *(f"{x:.3f}" for x in losses))


if __name__ == "__main__":
    main()
