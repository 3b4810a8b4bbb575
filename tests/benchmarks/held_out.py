"""Do morphs between held-out photographs beat a cross-fade? ``python -m tests.benchmarks.held_out --data FOLDER``.

Pairs of photographs that the embedded model never saw, a third of one class, a third of two, a third faces.
A cross-fade, a slerp of the autoencoder's latents and the default preset, each measured over all pairs; FID
and KID of the inner frames are taken against held-out photographs of the same classes, and how far they depend on
which pairs were drawn, from halves of the pairs.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from morph import pacing
from morph.diffusion.embedded.photographs import Photograph, open_photographs, read_captions
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from pipelines import MorphPipeline
from pipelines.clip import clip_of
from pipelines.compare import compare
from pipelines.evaluate import Report, measure
from pipelines.fid import Inception, fid, kid
from pipelines.presets import load_preset
from pipelines.settings import changed

KINDS = ("same class", "across classes", "faces")
FACES = ("cat face", "face of a person")
HALVES = 60
COLUMNS = ("scheme", "pairs", "FID", "KID x 1000", "ghosting", "sharpness", "PPL", "max/mean gap", "at most 1.5")


def choose(photographs: list[Photograph], count: int) -> dict[str, list[tuple[Photograph, Photograph]]]:
    """``count`` pairs of each kind, always the same, no photograph twice."""
    rng = random.Random(0)
    by_label = defaultdict(list)
    for photograph in sorted(photographs, key=lambda photograph: photograph.name):
        by_label[photograph.label].append(photograph)
    for group in by_label.values():
        rng.shuffle(group)
    plain = [label for label, group in by_label.items() if label not in FACES and len(group) > 4]
    pairs: dict[str, list[tuple[Photograph, Photograph]]] = {kind: [] for kind in KINDS}
    for i in range(count):
        label, *two = rng.choice(plain), *rng.sample(plain, 2)
        pairs["same class"].append((by_label[label].pop(), by_label[label].pop()))
        pairs["across classes"].append((by_label[two[0]].pop(), by_label[two[1]].pop()))
        face = FACES[i % 2]
        pairs["faces"].append((by_label[face].pop(), by_label[face].pop()))
        plain = [label for label in plain if len(by_label[label]) > 4]
    return pairs


def load(data: Path, photographs: list[Photograph], size: int) -> Tensor:
    """Photographs (N,3,size,size) in [-1,1], in the given order."""
    order = sorted(range(len(photographs)), key=lambda i: photographs[i].shard)
    images = open_photographs(data, [photographs[i] for i in order])
    pixels = np.empty((len(order), size, size, 3), np.uint8)
    for i, image in zip(order, images, strict=True):
        pixels[i] = image.resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--pairs", "count", default=25, show_default=True, help="pairs of each of the three kinds")
@click.option("--size", default=128, show_default=True)
@click.option("--frames", default=9, show_default=True, help="2**n + 1, for the latent slerp")
@click.option("--model", default="embedded", show_default=True)
@click.option("--sheets", type=click.Path(path_type=Path), help="folder for one sheet per kind")
def main(data: Path, count: int, size: int, frames: int, model: str, sheets: Path | None) -> None:
    """Print the table as Markdown."""
    held = [photograph for photograph in read_captions(data) if photograph.held_out]
    pairs = choose(held, count)
    base = {"frames": frames, "size": str(size)}
    presets = {
        "latent slerp": changed(
            load_preset("interpolate_only"), base | {"anchors.depth": (frames - 1).bit_length() - 1}
        ),
        "default": changed(load_preset("default"), base),
    }
    pipeline, inception = MorphPipeline.from_pretrained(model), Inception()
    made: dict[tuple[str, str], list[tuple[np.ndarray, Report]]] = defaultdict(list)
    for kind, chosen in pairs.items():
        for number, pair in enumerate(chosen, 1):
            click.echo(f"{kind} {number}: {pair[0].label}, {pair[1].label}", err=True)
            ends = load(data, list(pair), size)
            fade = torch.cat([torch.lerp(ends[:1], ends[1:], alpha) for alpha in pacing.uniform(frames)])
            made[kind, "cross-fade"].append((to_uint8(fade), measure(fade, ends, pacing.uniform(frames))))
            with TemporaryDirectory() as folder:
                images = [Path(folder) / f"{i}.png" for i in range(len(pair))]
                for path, pixels in zip(images, to_uint8(ends), strict=True):
                    write_png(path, pixels)
                captions = [photograph.caption for photograph in pair]
                clips = {name: clip_of(images, captions, settings) for name, settings in presets.items()}
                for one in compare(pipeline, clips, lambda stage, cost: None):
                    made[kind, one.name].append((one.frames, one.report))
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
            rows = [(made[kind, scheme][i][0], scheme) for i in range(4) for scheme in ("cross-fade", "default")]
            sheet = contact_sheet([frame for row, _ in rows for frame in row], frames, labels=[n for _, n in rows])
            write_png(sheets / f"{kind.replace(' ', '-')}.png", sheet)
    labels = {photograph.label for chosen in pairs.values() for pair in chosen for photograph in pair}
    reference = inception.features(load(data, [p for p in held if p.label in labels][:1000], size))
    runs = {
        key: [Run(report, inception.features(inner(frames))) for frames, report in own] for key, own in made.items()
    }
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for group in (KINDS, *((kind,) for kind in KINDS)):
        for scheme in ("cross-fade", *presets):
            own = [run for kind in group for run in runs[kind, scheme]]
            print(row(f"{scheme}, {' and '.join(group) if len(group) == 1 else 'all'}", own, reference))
    faded, morphed = ([run for kind in KINDS for run in runs[kind, name]] for name in ("cross-fade", "default"))
    for name, distance in (("FID", fid), ("KID", kid)):
        deviation = spread_of_difference(morphed, faded, reference, distance)
        print(f"{name} of default minus that of a cross-fade: one deviation over the pairs is {deviation:.3g}")


class Run(NamedTuple):
    """What was measured of one morph; ``features`` (F,2048) are those of its inner frames."""

    report: Report
    features: Tensor


def inner(frames: np.ndarray) -> Tensor:
    """All but the first and the last of frames (F,H,W,3), as (F-2,3,H,W) in [-1,1]."""
    return torch.from_numpy(frames[1:-1]).permute(0, 3, 1, 2) / 127.5 - 1


def spread_of_difference(
    some: list[Run], others: list[Run], reference: Tensor, distance: Callable[[Tensor, Tensor], float]
) -> float:
    """Deviation of the difference of two schemes' distances over the pairs, by the delete-half jackknife.

    Drawing pairs with replacement would count frames twice, which biases FID (Shao & Wu, 1989).
    """
    rng = random.Random(0)
    differences = []
    for _ in range(HALVES):
        half = rng.sample(range(len(some)), len(some) // 2)
        one, other = (distance(torch.cat([runs[i].features for i in half]), reference) for runs in (some, others))
        differences.append(one - other)
    return float(np.std(differences))


def row(name: str, runs: list[Run], reference: Tensor) -> str:
    """One line of the table."""
    features = torch.cat([run.features for run in runs])

    def mean(key: str) -> float:
        return float(np.mean([getattr(run.report, key) for run in runs]))

    even = sum(run.report.max_mean_gap <= 1.5 for run in runs)
    cells = (
        name,
        str(len(runs)),
        f"{fid(features, reference):.1f}",
        f"{1000 * kid(features, reference):.1f}",
        f"{mean('ghosting'):.2f}",
        f"{mean('sharpness'):.2f}",
        f"{mean('ppl'):.3f}",
        f"{mean('max_mean_gap'):.2f}",
        f"{even} of {len(runs)}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
