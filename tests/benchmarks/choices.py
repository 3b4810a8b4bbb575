"""What each number of the default preset is worth: ``python -m tests.benchmarks.choices``.

The preset, and the preset with one thing changed, on the sample pairs of ``bars``, one that is not in register, and
the embedded model: means over the pairs, with U-Net forward equivalents counted by a hook.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from pipelines import MorphPipeline
from pipelines.report.compare import Compared, compare
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.benchmarks.bars import PAIRS as REGISTERED
from tests.benchmarks.bars import SAMPLES
from tests.benchmarks.meter import Meter
from tests.benchmarks.scaling import table

PAIRS = (*REGISTERED, ("red-panda", "raccoon-wide"))
CHOICES: dict[str, dict[str, Any]] = {
    "`default`": {},
    "not aligned, LoRA of 20 steps": {"align.on": False, "lora.steps": 20},
    "aligned dissolve, as `warp`": {"between": "dissolve"},
    "AlexNet's features": {"align.features": "alexnet"},
    "the denoiser's features": {"align.features": "unet"},
    "places turn alike": {"align.transition": "uniform"},
    "0.6 of the steps left out": {"align.skip": 0.6},
    "0.4 of the steps left out": {"align.skip": 0.4},
    "0.9 of the steps left out": {"align.skip": 0.9},
    "inverted in steps": {"align.inversion": "steps"},
    "inverted in steps, 8 of them": {"align.inversion": "steps", "steps": 8},
    "LoRA of 20 steps": {"lora.steps": 20},
    "30 steps": {"steps": 30},
    "8 steps": {"steps": 8},
    "attention share 0.5": {"attention": 0.5},
    "interpolated keys and values": {"sharing": "interpolated"},
    "fade 0.25": {"fade": 0.25},
    "surveyed by finished frames": {"survey": 0},
    "in float32": {},
}
SHARES = ("max_mean_gap", "ghosting", "motion", "sharpness")
FIGURES = {"ppl": ".3f", "pdv": ".1e", **dict.fromkeys(SHARES, ".2f")}


@click.command()
@click.option("--size", default="128", show_default=True)
@click.option("--frames", default=16, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(CHOICES)), help="all when left out")
def main(size: str, frames: int, only: tuple[str, ...]) -> None:
    """Print the table as Markdown."""
    rows = []
    for name in only or CHOICES:
        pipeline = MorphPipeline.from_pretrained("embedded", dtype="float32" if "float32" in name else "auto")
        settings = changed(load_preset("default"), CHOICES[name] | {"size": size, "frames": frames})
        meter = Meter(pipeline.model.denoiser.network)
        made: list[Compared] = []
        for pair in PAIRS:
            images, prompts = [SAMPLES / f"{one}.jpg" for one in pair], [f"a photo of a {one}" for one in pair]
            made += compare(pipeline, {name: clip_of(images, prompts, settings)}, meter.tick)
        meter.lap()
        forwards = sum(meter.forwards.values()) / len(PAIRS)
        seconds = np.mean([one.seconds for one in made])
        figures = [f"{np.mean([getattr(one.report, key) for one in made]):{how}}" for key, how in FIGURES.items()]
        rows.append((name, f"{forwards:.0f}", f"{seconds:.1f}", *figures))
        click.echo(" ".join(rows[-1]), err=True)
    table(("", "U-Net forwards", "seconds", "PPL", "PDV", "max/mean gap", "ghosting", "motion", "sharpness"), rows)


if __name__ == "__main__":
    main()
