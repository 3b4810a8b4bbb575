"""``morph pose``: what the pose detector sees in a picture."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pipelines.cli.common import overwrite_option, say, with_consent


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("-o", "--output", required=True, metavar="OUT.png")
@click.option("--detector", default="mediapipe", show_default=True, metavar="mediapipe|FOLDER|HUB_ID")
@click.option("--over", is_flag=True, help="Draw over the dimmed image instead of black.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print the keypoints as one JSON object.")
def pose(image: str, output: str, detector: str, over: bool, overwrite: bool, as_json: bool) -> None:
    """Draw the skeletons of the people in IMAGE, as a pose ControlNet wants them.

    Where nobody is found the picture is black, which tells a ControlNet the same; that is said, and no error.
    """
    from morph.errors import SettingsError
    from morph.installed import version
    from morph.media.frame import to_rgb8
    from morph.media.image import laid_on_black, read_image
    from morph.media.stills import check_parent, write_png
    from morph.perception.detectors import load_detector
    from morph.perception.pose import draw, draw_over
    from pipelines.output.existing import check_file
    from pipelines.request.contents import hash_of_file

    path = Path(output)
    if path.suffix.lower() != ".png" or path.is_dir():
        raise SettingsError(f"output {output!r} is not the name of a PNG; write -o pose.png")
    check_parent(path)
    if path.exists() and Path(image).exists() and path.samefile(image):
        raise SettingsError(f"output {output!r} is the image itself; name another file")
    picture, alpha, notices = read_image(image)
    made = {"poses": hash_of_file(Path(image))}

    def check(may: bool) -> None:
        if not may:
            check_file(path, lambda recipe: recipe.get("poses") == made["poses"])

    with_consent(check, overwrite)
    pixels = to_rgb8(picture)
    for notice in notices:
        say(notice)
    if alpha is not None:
        say(laid_on_black(image))
    find = load_detector(detector)
    people = find(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    if not people:
        say(f"{image}: {find.name} finds nobody, so no skeleton is drawn")
    recipe = json.dumps({"morph": version(), **made})
    write_png(path, draw_over(people, pixels) if over else draw(people, size), recipe)
    if as_json:
        report = {
            "output": output,
            "detector": find.name,
            "size": size,
            "people": [person.as_dict() for person in people],
        }
    click.echo(json.dumps(report) if as_json else output)
