"""``morph match``: what of one picture is what of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import click

from pipelines.cli.common import say
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
    as_json: bool,
) -> None:
    """Find what in picture A is what in picture B, and draw it.

    OUT.png shows both with matched places and the grid of the picture halfway, that picture, and the confidence.

    The points of --points are pixels of the pictures as a person sees them: upright, before they are cropped or
    resized, (0, 0) in the upper left. The match goes through them.

    --features says whose view of the pictures is compared: vgg16; alexnet, quicker and coarser; or unet, the
    denoiser of --model, as a render with --set align.features=unet compares them. Where MediaPipe is installed (pip
    install 'morph[pose]') and either picture shows one person's face, landmarks of faces and bodies help.

    --field FILE.npz holds the arrays a_to_b and b_to_a (H,W,2): for each pixel of the one picture x and y in pixels
    of the other, at the size of the match; and confidence_a and confidence_b (H,W). --field FILE.exr writes two ST
    maps, with the confidence in blue: FILE.a_to_b.exr brings B into the shape of A, FILE.b_to_a.exr brings A into
    the shape of B.
    """
    from morph.errors import SettingsError
    from morph.media.image import laid_on_black
    from morph.media.keyframe import parse_size
    from morph.media.stills import check_parent, write_png
    from pipelines.output.field import field_files, write_field

    path = Path(output)
    if path.suffix.lower() != ".png" or path.is_dir():
        raise SettingsError(f"output {output!r} is not the name of a PNG; write -o match.png")
    check_parent(path)
    if model and features != "unet":
        raise SettingsError(f"--model {model} has no part in --features {features}; add --features unet")
    files = field_files(Path(field)) if field else []
    _refuse_inputs([path, *files], [*images, *([points] if points else [])])
    wanted = parse_size(size) if size else None

    from morph.perception.landmarks import installed
    from pipelines.between.panels import match_picture
    from pipelines.tasks.match import matched
    from pipelines.tasks.models import quiet_libraries

    quiet_libraries()
    a, b = map(Path, images)
    marked = Path(points) if points else None
    first, second, found = matched(a, b, wanted, fit, marked, features, model or "embedded", landmarks)
    for keyframe in (first, second):
        for notice in keyframe.notices:
            say(notice)
        if keyframe.alpha is not None:
            say(laid_on_black(keyframe.source))
    say(
        f"compared by {found.features}: {found.matched:.0%} of the places match; energy {found.before:.3f} before, "
        f"{found.after:.3f} after"
    )
    if found.landmarks:
        say(f"{found.landmarks} landmarks of people helped")
    elif landmarks and not installed():
        say("landmarks of faces and bodies would help with people: pip install 'morph[pose]'")
    if found.mirrored:
        say(f"{images[1]}: mirrored it matches far better: flip it left to right, if that is what you want")
    height, width = first.pixels.shape[2:]
    write_png(path, match_picture(first.pixels, second.pixels, found.warp))
    if field:
        write_field(Path(field), found.warp, (width, height))
    report = {
        "output": output,
        "field": [str(file) for file in files],
        "size": (width, height),
        "features": found.features,
        "landmarks": found.landmarks,
        "energy_before": found.before,
        "energy_after": found.after,
        "matched": found.matched,
        "mirrored": found.mirrored,
    }
    click.echo(json.dumps(report) if as_json else output)


def _refuse_inputs(outputs: Sequence[Path], inputs: Sequence[str]) -> None:
    from morph.errors import SettingsError

    for path in outputs:
        for name in inputs:
            if path.exists() and Path(name).exists() and path.samefile(name):
                raise SettingsError(f"output {str(path)!r} is the input {name!r} itself; name another file")
