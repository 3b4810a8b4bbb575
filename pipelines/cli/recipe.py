"""``morph show`` and ``morph rerun``: how a file was made, and the same frames again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import assigned, carried_out, device_options, say


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
@device_options
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
    device: str,
    dtype: str,
    as_json: bool,
) -> None:
    """Render what FILE's recipe says once more, and tell whether the frames are the same.

    Images are found by their contents, where they were, beside FILE, or in --images; weights must be the same.
    """
    from dataclasses import replace

    from morph.errors import ModelError
    from morph.media.recipe import read_recipe
    from morph.media.stills import check_parent
    from pipelines.job.folder import job_folder, opened
    from pipelines.job.render import planned
    from pipelines.request.recipe import choices_of, clip_from, remote
    from pipelines.tasks.models import Models, quiet_libraries

    source = Path(file)
    recipe = read_recipe(source)
    moved = assigned(assignments) | ({} if audio is None else {"encode.audio": audio})
    images = [source.parent, *map(Path, folders)]
    clip = clip_from(recipe, Path(output) if output else None, images, codec, moved)
    clip = replace(clip, model=model) if model else clip
    if (ids := [one for one in remote(clip) if one != model]) and not hub:
        raise ModelError(f"{file} was made with {', '.join(ids)} of a model hub: add --hub to fetch them")
    folder = Path(job) if job else job_folder(clip.output)
    plan = planned(clip, folder)
    if job:
        check_parent(folder)
    where = (recipe["device"] if device == "auto" else device, recipe["dtype"] if dtype == "auto" else dtype)
    with opened(folder, clip, change):
        quiet_libraries()
        _use_threads(recipe.get("threads"))
        models = Models.of(clip, *where)
        if models.weights != recipe.get("weights"):
            raise ModelError(f"{clip.model} has other weights than those that made {file}: name these by --model")
        result = carried_out(plan, models, *where, choices_of(recipe))
    same = result["recipe"]["frames"] == recipe["frames"]
    if same:
        say(f"the same {clip.length} frames as those of {file}, bit for bit")
    else:
        say(f"not the same frames as those of {file}, bit for bit: {_versions(recipe, result['recipe'])}")
    click.echo(json.dumps({"output": str(clip.output), "same": same, **result}) if as_json else str(clip.output))


def _use_threads(count: int | None) -> None:
    """Sums are rounded in the order in which threads share them."""
    import torch

    if count:
        torch.set_num_threads(count)


def _versions(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two recipes' facts."""
    keys = ("morph", "torch", "device", "dtype", "threads", "embeddings")
    found = [
        f"{key} was {before.get(key)} and is {now.get(key)}" for key in keys if before.get(key) != now.get(key)
    ]
    return ", ".join(found) or "another machine rounds otherwise"
