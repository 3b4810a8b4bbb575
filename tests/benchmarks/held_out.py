"""Do morphs between held-out photographs beat a cross-fade? ``python -m tests.benchmarks.held_out --data FOLDER``.

Pairs of photographs that the embedded model never saw, a third of one class, a third of two, a third faces.
A cross-fade, a slerp of the autoencoder's latents and the default preset, and any other with ``--scheme``, each
measured over all pairs; FID and KID of the inner frames are taken against held-out photographs of the same classes,
and how far they depend on which pairs were drawn, from halves of the pairs. With ``--keep FOLDER`` every morph is
kept as soon as it is made, and a run that was broken off goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from morph import pacing
from morph.embedded.photographs import Photograph, open_photographs, read_captions
from morph.errors import SettingsError
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.quality.evaluate import Report, measure
from morph.quality.fid import Inception, fid, kid
from pipelines import MorphPipeline
from pipelines.report.compare import compare
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from pipelines.tasks.progress import quiet

KINDS = ("same class", "across classes", "faces")
FACES = ("cat face", "face of a person")
HALVES = 60
SHOWN = 4  # pairs on a sheet
FADE = "cross-fade"
COLUMNS = (
    "scheme",
    "pairs",
    "FID",
    "KID x 1000",
    "ghosting",
    "motion",
    "sharpness",
    "PPL",
    "max/mean gap",
    "at most 1.5",
)


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


class Schemes(click.ParamType):
    """``NAME=PRESET[,key=value...]``: a preset's name or TOML file, and settings over it."""

    name = "scheme"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Settings]:
        """The scheme's name and its settings, before those that all schemes share."""
        name, _, rest = value.partition("=")
        preset, *given = rest.split(",")
        if not name or not preset or not all("=" in one for one in given):
            self.fail(f"{value!r} is not NAME=PRESET[,key=value...]", param, ctx)
        try:
            return name, changed(load_preset(preset), dict(one.split("=", 1) for one in given))
        except SettingsError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def schemes(added: Sequence[tuple[str, Settings]], frames: int, size: int) -> dict[str, Settings]:
    """The settings of every scheme but the cross-fade, which needs none."""
    # no figure depends on an optional package
    base = {"frames": frames, "size": str(size), "align.landmarks": "off"}
    presets = {
        "latent slerp": changed(
            load_preset("interpolate_only"), base | {"anchors.depth": (frames - 1).bit_length() - 1}
        ),
        "default": changed(load_preset("default"), base),
    }
    for name, settings in added:
        if name in (FADE, *presets):
            raise click.BadParameter(f"there is a scheme {name} already", param_hint="--scheme")
        presets[name] = changed(settings, base)
    return presets


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--pairs", "count", default=25, show_default=True, help="pairs of each of the three kinds")
@click.option("--only", multiple=True, type=click.Choice(KINDS), help="these kinds of pairs; all when left out")
@click.option("--scheme", "added", multiple=True, type=Schemes(), help="one more: NAME=PRESET[,key=value...]")
@click.option("--size", default=128, show_default=True)
@click.option("--frames", default=9, show_default=True, help="2**n + 1, for the latent slerp")
@click.option("--model", default="embedded", show_default=True)
@click.option("--sheets", type=click.Path(path_type=Path), help="folder for one sheet per kind")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file for what every pair measured")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="folder for every morph, where a run broken off goes on"
)
def main(
    data: Path,
    count: int,
    only: tuple[str, ...],
    added: tuple[tuple[str, Settings], ...],
    size: int,
    frames: int,
    model: str,
    sheets: Path | None,
    out: Path | None,
    keep: Path | None,
) -> None:
    """Print the tables as Markdown."""
    presets = schemes(added, frames, size)
    held = [photograph for photograph in read_captions(data) if photograph.held_out]
    pairs = {kind: chosen for kind, chosen in choose(held, count).items() if kind in (only or KINDS)}
    pipeline, inception = MorphPipeline.from_pretrained(model), Inception()
    runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for kind, chosen in pairs.items():
        for number, pair in enumerate(chosen, 1):
            click.echo(f"{kind} {number}: {pair[0].label}, {pair[1].label}", err=True)
            asked = repr((model, size, frames, pair, presets))
            kept = keep and keep / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.safetensors"
            if kept and kept.exists():
                own = read_runs(kept)
            else:
                captions = [photograph.caption for photograph in pair]
                made = morphs(pipeline, presets, load(data, list(pair), size), captions, frames)
                own = {name: Run(*one, inception.features(inner(one[0]))) for name, one in made.items()}
                if kept:
                    write_runs(kept, own)
            for name, run in own.items():
                runs[kind, name].append(run)
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
            rows = [
                (runs[kind, name][i].frames, name) for i in range(min(SHOWN, count)) for name in (FADE, *presets)
            ]
            sheet = contact_sheet([frame for row, _ in rows for frame in row], frames, labels=[n for _, n in rows])
            write_png(sheets / f"{kind.replace(' ', '-')}.png", sheet)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(listed(pairs, runs), indent=1) + "\n", encoding="utf-8")
    labels = {photograph.label for chosen in pairs.values() for pair in chosen for photograph in pair}
    reference = inception.features(load(data, [p for p in held if p.label in labels][:1000], size))
    groups = {kind: [kind] for kind in pairs}
    if len(pairs) > 1:
        groups = {"all": list(pairs)} | groups
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for group, kinds in groups.items():
        for scheme in (FADE, *presets):
            print(row(f"{scheme}, {group}", [run for kind in kinds for run in runs[kind, scheme]], reference))
    if count * len(pairs) > 1:
        every = {scheme: [run for kind in pairs for run in runs[kind, scheme]] for scheme in (FADE, *presets)}
        print_differences(every, reference)


def morphs(
    pipeline: MorphPipeline, presets: dict[str, Settings], ends: Tensor, captions: list[str], frames: int
) -> dict[str, tuple[np.ndarray, Report]]:
    """By scheme, frames (F,H,W,3) uint8 between two photographs (2,3,H,W), and what they measure."""
    alphas = pacing.uniform(frames)
    fade = torch.cat([torch.lerp(ends[:1], ends[1:], alpha) for alpha in alphas])
    made = {FADE: (to_uint8(fade), measure(fade, ends, alphas))}
    with TemporaryDirectory() as folder:
        images = [Path(folder) / f"{i}.png" for i in range(len(ends))]
        for path, pixels in zip(images, to_uint8(ends), strict=True):
            write_png(path, pixels)
        clips = {name: clip_of(images, captions, settings) for name, settings in presets.items()}
        for one in compare(pipeline, clips, quiet):
            made[one.name] = one.frames, one.report
    return made


class Run(NamedTuple):
    """One morph: frames (F,H,W,3) uint8, what they measured, and the features (F-2,2048) of the inner ones."""

    frames: np.ndarray
    report: Report
    features: Tensor


def write_runs(path: Path, runs: dict[str, Run]) -> None:
    """Keep the morphs of one pair, by scheme."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"{name}.frames": torch.from_numpy(run.frames).contiguous() for name, run in runs.items()}
    tensors |= {f"{name}.features": run.features.contiguous() for name, run in runs.items()}
    unfinished = path.with_suffix(".unfinished")
    save_file(tensors, unfinished, {name: json.dumps(run.report.as_dict()) for name, run in runs.items()})
    unfinished.replace(path)


def read_runs(path: Path) -> dict[str, Run]:
    """The morphs of one pair as :func:`write_runs` kept them."""
    with safe_open(path, "pt") as file:
        return {
            name: Run(
                file.get_tensor(f"{name}.frames").numpy(),
                Report(**json.loads(report)),
                file.get_tensor(f"{name}.features"),
            )
            for name, report in file.metadata().items()
        }


def listed(
    pairs: dict[str, list[tuple[Photograph, Photograph]]], runs: dict[tuple[str, str], list[Run]]
) -> list[dict[str, Any]]:
    """What every pair measured under every scheme, JSON-ready."""
    return [
        {
            "kind": kind,
            "photographs": [photograph.name for photograph in pair],
            "captions": [photograph.caption for photograph in pair],
            "scheme": scheme,
            **run.report.as_dict(),
        }
        for (kind, scheme), own in runs.items()
        for pair, run in zip(pairs[kind], own, strict=True)
    ]


def inner(frames: np.ndarray) -> Tensor:
    """All but the first and the last of frames (F,H,W,3), as (F-2,3,H,W) in [-1,1]."""
    return torch.from_numpy(frames[1:-1]).permute(0, 3, 1, 2) / 127.5 - 1


def print_differences(runs: dict[str, list[Run]], reference: Tensor) -> None:
    """How far each scheme's FID and KID are from those of ``default``, and how far that depends on the pairs."""
    columns = ("minus default", "FID", "one deviation", "KID x 1000", "one deviation")
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    cells = {scheme: [scheme] for scheme in runs if scheme != "default"}
    for times, distance in ((1, fid), (1000, kid)):
        whole = {s: distance(torch.cat([run.features for run in own]), reference) for s, own in runs.items()}
        halved = {s: halves(own, reference, distance) for s, own in runs.items()}
        for scheme, own in cells.items():
            own.append(f"{times * (whole[scheme] - whole['default']):+.1f}")
            own.append(f"{times * np.std(halved[scheme] - halved['default']):.1f}")
    for own in cells.values():
        print(f"| {' | '.join(own)} |")


def halves(runs: list[Run], reference: Tensor, distance: Callable[[Tensor, Tensor], float]) -> np.ndarray:
    """The distance of random halves of the pairs, (HALVES,), the same halves for every scheme.

    The deviation of the difference of two schemes over them is that over the pairs, by the delete-half jackknife.
    Drawing pairs with replacement would count frames twice, which biases FID (Shao & Wu, 1989).
    """
    rng = random.Random(0)
    chosen = [rng.sample(range(len(runs)), len(runs) // 2) for _ in range(HALVES)]
    return np.array([distance(torch.cat([runs[i].features for i in half]), reference) for half in chosen])


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
        f"{mean('motion'):.2f}",
        f"{mean('sharpness'):.2f}",
        f"{mean('ppl'):.3f}",
        f"{mean('max_mean_gap'):.2f}",
        f"{even} of {len(runs)}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
