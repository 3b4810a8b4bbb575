"""``morph compare``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import assigned, model_options, overwrite_option, with_consent
from pipelines.cli.progress import progress

if TYPE_CHECKING:  # --help waits for nothing
    from morph.diffusion.offload import Offload

FRAMES = 17
"""Of every preset, unless told otherwise."""


@click.command()
@click.argument("images", nargs=2, metavar="IMAGE IMAGE")
@click.option("-o", "--output", required=True, metavar="DIR", help="A folder.")
@click.option("--preset", "presets", multiple=True, metavar="NAME|FILE", help="Once per preset; all when left out.")
@click.option("--prompt", "prompts", multiple=True, help="What an image shows: once for all, or once per image.")
@click.option("--frames", type=int, help=f"Frames of every preset: figures need one count.  [default: {FRAMES}]")
@click.option("--duration", metavar="TIME", help="In place of --frames: how long each is, 4s or 96f.")
@click.option("--size", help="1920x1080, 256 (a square), native, or image: the first image's own  [default: image]")
@click.option("--model-size", help="What the diffusion works at: 512x320, native, or auto  [default: auto]")
@click.option("--seed", type=int)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="For every preset; see morph settings."
)
@click.option("--align", is_flag=True, help="Every preset also with images in register, where that goes together.")
@model_options
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def compare(
    images: tuple[str, str],
    output: str,
    presets: tuple[str, ...],
    prompts: tuple[str, ...],
    frames: int | None,
    duration: str | None,
    size: str | None,
    model_size: str | None,
    seed: int | None,
    assignments: tuple[str, ...],
    align: bool,
    model: str | None,
    controlnet: str | None,
    device: str,
    dtype: str,
    offload: Offload,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Render several presets from one IMAGE to another: one sheet, one table, and the frames of each."""
    from pipelines.report.comparison import Computing, compare_presets

    options = {"frames": frames, "duration": duration, "size": size, "model_size": model_size, "seed": seed}
    given = {**assigned(assignments), **{key: value for key, value in options.items() if value is not None}}
    if not {"frames", "duration"} & given.keys():
        given["frames"] = FRAMES
    computing = Computing(model or "embedded", controlnet, device, dtype, offload)
    comparison = with_consent(
        lambda may: compare_presets(images, output, presets, prompts, given, computing, progress, may, align),
        overwrite,
    )
    click.echo(json.dumps(comparison.as_dict()) if as_json else comparison.table())
