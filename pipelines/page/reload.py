"""A recipe, or a film that holds one, as the work in hand: to make it once more, or to go on from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from morph.media.points import read_points
from morph.media.recipe import read_recipe
from pipelines.page.desk import Desk
from pipelines.page.draft import Draft, usable
from pipelines.request.clip import Clip
from pipelines.request.recipe import clip_from

CODEC = "h264"
"""Of the page's films, whatever the recipe says."""
OWN = ("frames", "duration", "fps", "size", "repeat", "ease", "seed")
"""Settings that are fields of a draft."""


def draft_from(file: Path, desk: Desk, model: str = "embedded") -> tuple[Draft, list[str]]:
    """What a recipe asks for, of pictures that are on the desk; and lines about what of it the page leaves out.

    model: the one that the page works with.

    Raises:
        InputError: there is no recipe, or a picture or a file of points of it is not here.
    """
    recipe = read_recipe(file)
    folders = [desk.pictures, *(film.folder for film in desk.films())]
    clip = clip_from(recipe, Path("film.mp4"), folders, CODEC, file=Path(file.name))
    settings, frames = clip.settings, clip.settings.frames
    there = 2 * frames - 2 if settings.repeat == "ping-pong" else frames
    shots = [
        replace(desk.take(one.image), prompt=one.prompt, at="" if one.at is None else f"{one.at}f")
        for one in clip.keyframes
    ]
    base = {key: value for key, value in recipe["settings"].items() if not key.startswith("encode.")}
    base = {key: value for key, value in usable(base).items() if key not in OWN}
    draft = Draft(
        shots=tuple(shots),
        length=settings.duration or f"{there}f",
        fps=str(settings.fps),
        size=settings.size,
        repeat=settings.repeat,
        ease=settings.ease,
        seed=settings.seed,
        base=tuple(base.items()),
    )
    for one, way in zip(clip.keyframes, draft.ways, strict=False):
        if points := one.settings.align.points:
            pairs = [
                (float(xa), float(ya), float(xb), float(yb)) for xa, ya, xb, yb in read_points(Path(points)).pairs
            ]
            draft = draft.with_pairs(*way, pairs)
    return draft, _left_out(recipe, clip, model)


def _left_out(recipe: dict[str, Any], clip: Clip, model: str) -> list[str]:
    told = []
    if recipe["asked"]["model"] != model and _needs_model(recipe):
        told.append(f"It was made with the model {recipe['asked']['model']}; here {model} works")
    if clip.loras or clip.tokens or clip.controlnet or any(one.loras for one in clip.keyframes):
        told.append("LoRAs, tokens and ControlNets are left out: morph rerun takes them")
    if any(one.edits for one in clip.keyframes):
        told.append("Edits of pictures are left out: morph edit makes them")
    own = {key for entry in recipe["keyframes"] for key in entry.get("settings", {})} - {"align.points"}
    if own:
        told.append(f"Settings that single pictures have of their own are left out: {', '.join(sorted(own))}")
    return told


def _needs_model(recipe: dict[str, Any]) -> bool:
    """Whether a recipe's frames are painted by a model."""
    return recipe["settings"].get("between", "diffusion") != "dissolve"
