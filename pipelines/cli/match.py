"""``morph match``: what of one picture is what of another."""

from __future__ import annotations

import json
from typing import Literal, get_args

import click

from pipelines.cli.common import overwrite_option, with_consent
from pipelines.request.alignment import Features


@click.command()
@click.argument("images", nargs=2, metavar="A B")
@click.option("-o", "--output", required=True, metavar="OUT.png")
@click.option("--points", metavar="FILE", help="Places that are the same: lines or JSON lists xa,ya,xb,yb.")
@click.option("--features", type=click.Choice(get_args(Features)), default="vgg16", show_default=True)
@click.option("--model", metavar="embedded|FOLDER|HUB_ID", help="For --features unet.  [default: embedded]")
@click.option("--landmarks/--no-landmarks", default=True, help="Let those of people help, where MediaPipe is.")
@click.option("--size", metavar="256|320x192", help="Of both pictures.  [default: that of A]")
@click.option("--fit", type=click.Choice(["crop", "pad"]), default="crop", show_default=True, help="To that size.")
@click.option("--field", metavar="FILE.npz|FILE.exr", help="Where each pixel is in the other picture; see above.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def match(
    images: tuple[str, str],
    output: str,
    points: str | None,
    features: Features,
    model: str | None,
    landmarks: bool,
    size: str | None,
    fit: Literal["crop", "pad"],
    field: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find what in picture A is what in picture B, and draw it.

    OUT.png shows both with matched places and the grid of the picture halfway, that picture, and the confidence.

    The points of --points are pixels of the pictures as a person sees them: upright, before they are cropped or
    resized, (0, 0) in the upper left. The match goes through them.

    --features says whose view of the pictures is compared: vgg16; alexnet, quicker and coarser; or unet, the
    denoiser of --model, as a render with --set align.features=unet compares them. Where MediaPipe is installed (pip
    install '.[pose]') and either picture shows one person's face, landmarks of faces and bodies help.

    --field FILE.npz holds the arrays a_to_b and b_to_a (H,W,2): for each pixel of the one picture x and y in pixels
    of the other, at the size of the match; and confidence_a and confidence_b (H,W). --field FILE.exr writes two ST
    maps, with the confidence in blue: FILE.a_to_b.exr brings B into the shape of A, FILE.b_to_a.exr brings A into
    the shape of B.
    """
    from dataclasses import asdict

    from morph.media.keyframe import parse_size
    from pipelines.job.match import MatchOptions, match_files

    options = MatchOptions(parse_size(size) if size else None, fit, points, features, model, landmarks)
    result = with_consent(lambda may: match_files(images, output, field, options, may), overwrite)
    click.echo(json.dumps({"output": output, **asdict(result)}) if as_json else output)
