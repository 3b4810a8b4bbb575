"""``morph show`` and ``morph rerun``: how a file was made, and the same frames again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import (
    assigned,
    device_options,
    overwrite_option,
    verbose_option,
    with_consent,
)
from pipelines.cli.progress import progress

if TYPE_CHECKING:  # --help waits for nothing
    from morph.diffusion.offload import Offload


@click.command()
@click.argument("file", metavar="VIDEO|FRAME|FOLDER|JSON")
def show(file: str) -> None:
    """Print how a file was made: keyframes, settings, seeds, hashes and versions, as JSON."""
    from morph.media.recipe import read_recipe

    click.echo(json.dumps(read_recipe(Path(file)), indent=2, ensure_ascii=False))


@click.command()
@click.argument("file", metavar="VIDEO|FRAME|FOLDER|JSON")
@click.option("-o", "--output", metavar="OUT", help="[default: as it was, with -rerun in its name, here]")
@click.option("--images", "folders", multiple=True, metavar="DIR", help="Where the images are, if they have moved.")
@click.option("--model", metavar="FOLDER", help="Where the model is, if it has moved.")
@click.option("--codec", metavar="NAME|FILE", help="[default: as it was]")
@click.option("--audio", metavar="FILE", help="Where the sound is, if it has moved.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=FILE", help="So of ranking.clip, and others.")
@click.option("--hub", is_flag=True, help="Fetch the models that FILE names from the hub.")
@click.option("--job", metavar="DIR", help="Where work is kept, to go on from  [default: OUT.job]")
@click.option("--change", is_flag=True, help="Go on with a broken-off job under other settings.")
@overwrite_option
@device_options
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def rerun(
    file: str,
    output: str | None,
    folders: tuple[str, ...],
    model: str | None,
    codec: str | None,
    audio: str | None,
    assignments: tuple[str, ...],
    hub: bool,
    job: str | None,
    change: bool,
    overwrite: bool,
    device: str,
    dtype: str,
    offload: Offload,
    as_json: bool,
) -> None:
    """Render what FILE's recipe says once more, and tell whether the frames are the same.

    Images are found by their contents, whatever they are called: where they were, beside FILE, or in --images.
    Weights must be the same.
    """
    from pipelines.job.rerun import Moved
    from pipelines.job.rerun import rerun as rerun_job

    files = assigned(assignments) | ({} if audio is None else {"encode.audio": audio})
    output_path = Path(output) if output else None
    moved = Moved(output_path, [Path(folder) for folder in folders], model, codec, files, hub)
    place = Path(job) if job else None
    result = with_consent(
        lambda may: rerun_job(file, moved, place, change, device, dtype, progress, may, offload), overwrite
    )
    click.echo(json.dumps(result.as_dict()) if as_json else str(result.output))
