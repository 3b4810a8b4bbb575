"""How good the default preset is: ``python -m tests.benchmarks.bars``.

For every sample pair, on the embedded model at 256 px and 24 frames: the default preset without attention and
AdaIN, and with them, both at uniform alphas, and the default preset paced; and a plain cross-fade, which shows what
the path length and the variance reward.
"""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch

from morph import pacing
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.quality.evaluate import Report, measure
from pipelines import MorphPipeline
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import Lora, Settings, changed
from pipelines.tasks.maker import maker_of
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.store import FITS

SAMPLES = Path(__file__).parents[2] / "samples"
PAIRS = (("cat", "raccoon"), ("hopper", "collins"), ("coffee", "retina"))
PLAIN: dict[str, Any] = {"lora.steps": 0, "attention": 0.0, "adain": False, "noise": 0.0}
COLUMNS = (
    "pair",
    "scheme",
    "PPL",
    "PDV",
    "max/mean",
    "ghosting",
    "motion",
    "sharpness",
    "seconds",
)


def row(pair: str, scheme: str, report: Report, seconds: float) -> str:
    """One line of the table."""
    cells = (
        pair,
        scheme,
        f"{report.ppl:.3f}",
        f"{report.pdv:.2e}",
        f"{report.max_mean_gap:.2f}",
        f"{report.ghosting:.3f}",
        f"{report.motion:.2f}",
        f"{report.sharpness:.2f}",
        f"{seconds:.0f}",
    )
    return f"| {' | '.join(cells)} |"


@click.command()
@click.option("--model", default="embedded", show_default=True)
@click.option("--size", default="256", show_default=True)
@click.option("--frames", default=24, show_default=True)
@click.option("--pair", "chosen", multiple=True, help="first image of a pair; all pairs when left out")
@click.option("--sheets", type=click.Path(path_type=Path), help="folder for one contact sheet per pair")
def main(model: str, size: str, frames: int, chosen: tuple[str, ...], sheets: Path | None) -> None:
    """Print the table as Markdown."""
    pipeline = MorphPipeline.from_pretrained(model)
    base = changed(load_preset("default"), {"size": size, "frames": frames})
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for first, second in PAIRS:
        if chosen and first not in chosen:
            continue
        rows = []
        name, images = f"{first}, {second}", [SAMPLES / f"{name}.jpg" for name in (first, second)]
        pictures = Pictures(pipeline.plan(clip_of(images, (), base)))
        ends = torch.cat([pictures.keyframe(number).pixels for number in range(len(images))])
        alphas = pacing.uniform(frames)
        fade = torch.cat([torch.lerp(ends[:1], ends[1:], alpha) for alpha in alphas])
        report = measure(fade, ends, alphas)
        print(row(name, "cross-fade", report, 0), flush=True)
        rows += picked(np.asarray(((fade + 1) * 127.5).round().byte().permute(0, 2, 3, 1)))
        uniform = {"pacing": "uniform"}
        schemes = {
            "no attention, no AdaIN, uniform": changed(base, {**PLAIN, **uniform}),
            "default, uniform": changed(base, uniform),
            "default": base,
        }
        fits: dict[Lora, tuple[Path, float]] = {}
        with TemporaryDirectory() as folder:
            for scheme, settings in schemes.items():
                own = Path(folder) / scheme
                rows += picked(render(pipeline, images, settings, own, ends, (name, scheme), fits))
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
            write_png(sheets / f"{first}-{second}.png", contact_sheet(rows, 8))
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def picked(frames: Any, count: int = 8) -> list[Any]:
    """``count`` of the frames, evenly chosen, for a row of the sheet."""
    return [frames[round(i)] for i in np.linspace(0, len(frames) - 1, count)]


def render(
    pipeline: MorphPipeline,
    images: list[Path],
    settings: Settings,
    folder: Path,
    ends: torch.Tensor,
    names: tuple[str, str],
    fits: dict[Lora, tuple[Path, float]],
) -> Any:
    """Render, measure and print one line; the frames.

    Fits that schemes share are made once; ``fits`` says where, and in how many seconds, which are added to each.
    """
    clip = clip_of(images, (), settings)
    if settings.lora in fits:
        made, fitting = fits[settings.lora]
        shutil.copytree(made, folder / FITS)
    else:
        started = time.perf_counter()
        maker_of(pipeline, pipeline.plan(clip), folder).fit(range(len(images)))
        fitting = time.perf_counter() - started
        fits[settings.lora] = (folder / FITS, fitting)
    started = time.perf_counter()
    rendered = pipeline.render(clip, folder)
    pixels = np.stack([frame.pixels for frame in rendered])
    seconds = fitting + time.perf_counter() - started
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    report = measure(tensor, ends, [still.alpha for still in rendered.stills])
    print(row(*names, report, seconds), flush=True)
    return pixels


if __name__ == "__main__":
    main()
