"""How a clip was made, ready for JSON, and from there the same clip again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from morph.errors import InputError, SettingsError
from morph.weights.locate import HUB_ID
from pipelines.request.clip import Clip, ClipKeyframe
from pipelines.request.presets import names_file
from pipelines.request.settings import Settings, changed, keys, naming
from pipelines.request.ways import needs_model

TEXTS = ("name", "output", "device", "dtype", "frames")
"""What every recipe of a clip says in so many words."""
POINTS = "align.points"
DIGITS = 9
"""Decimals of a position that count."""


def hash_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def recipe_of(clip: Clip) -> dict[str, Any]:
    """What was asked for; a keyframe has what it has of its own. Files of points are named with their hashes."""
    common = keys(clip.settings)
    keyframes = []
    for keyframe in clip.keyframes:
        overrides = {key: value for key, value in keys(keyframe.settings).items() if value != common[key]}
        entry: dict[str, Any] = {"image": str(keyframe.image), "sha256": hash_of_file(keyframe.image)}
        entry |= {"prompt": keyframe.prompt}
        entry |= {"at": keyframe.at} if keyframe.at is not None else {}
        entry |= {"hold": keyframe.hold} if keyframe.hold else {}
        keyframes.append(entry | ({"settings": overrides} if overrides else {}))
    asked = {"model": clip.model, "controlnet": clip.controlnet}
    points = dict.fromkeys(keyframe.settings.align.points for keyframe in clip.keyframes)
    return {
        "name": clip.name,
        "output": str(clip.output),
        "asked": asked,
        "keyframes": keyframes,
        "points": {name: hash_of_file(Path(name)) for name in points if name},
        "settings": common,
    }


def clip_from(
    recipe: Mapping[str, Any],
    output: Path | None,
    folders: Sequence[Path],
    codec: str | None = None,
    moved: Mapping[str, str] = MappingProxyType({}),
) -> Clip:
    """The clip of a recipe. Images are those that have the same bytes: where they were, or in one of the folders.

    So are files of points, which may also be where ``moved`` says.

    Without ``output`` it is called as it was, with -rerun in its name, in the current folder. ``codec`` takes the
    place of its encode preset, and ``moved`` that of files and weights that settings name, of keyframes among them.

    Raises:
        InputError: an image is nowhere, or its bytes are others.
        SettingsError: settings of another version, or not a clip's recipe; a setting that names no such thing.
    """
    movable = naming("file", "weights")
    if fixed := [key for key in moved if key not in movable]:
        raise SettingsError(f"{fixed[0]} stays as the recipe has it; what may have moved is {', '.join(movable)}")
    try:
        if wrong := [key for key in TEXTS if not isinstance(recipe[key], str)]:
            raise KeyError(*wrong)
        # what the frames were called by then still points at them
        moved_besides_points = {key: file for key, file in moved.items() if key != POINTS}

        def relocated(settings: Settings, values: Mapping[str, Any]) -> Settings:
            current = {**values, **moved_besides_points}
            if name := current.get(POINTS):
                places = [Path(moved[POINTS])] if POINTS in moved else []
                current[POINTS] = str(_located("points", Path(name), recipe["points"][name], folders, places))
            return changed(settings, current)

        settings = relocated(Settings(), {**recipe["settings"], "encode.timeline": ""})
        if codec:
            settings = changed(settings, {"encode.preset": codec})
        elif names_file(settings.encode.preset):
            raise SettingsError(
                f"its encode preset is the file {settings.encode.preset}, which can make ffmpeg write anywhere: "
                "name it by --codec, or another"
            )
        keyframes = tuple(
            ClipKeyframe(
                _located("picture", Path(entry["image"]), entry["sha256"], folders),
                relocated(settings, entry.get("settings", {})),
                entry["prompt"],
                entry.get("at"),
                entry.get("hold", 0),
            )
            for entry in recipe["keyframes"]
        )
        asked = recipe["asked"]
        stem, dot, suffix = Path(recipe["output"]).name.partition(".")
        target = output or Path(f"{stem}-rerun{dot}{suffix}")
        return Clip(
            recipe["name"], keyframes, settings, target, asked["model"], asked["controlnet"], named=bool(output)
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"this is no recipe of a rendered clip: {error!r} is missing or wrong") from None


def _located(kind: str, file: Path, digest: str, folders: Sequence[Path], places: Sequence[Path] = ()) -> Path:
    """The file with these contents: at one of the places, where it was, or in one of the folders."""
    places = [*places, file, *(folder / file for folder in folders), *(folder / file.name for folder in folders)]
    files = [place for place in dict.fromkeys(places) if place.is_file()]
    for place in files:
        if hash_of_file(place) == digest:
            return place
    problem = f"{files[0]} is there, but it has changed" if files else f"{file} is not there"
    raise InputError(f"{problem}: name the folder of the {kind} with SHA-256 {digest[:12]} by --images")


def remote(clip: Clip) -> list[str]:
    """Hub ids among the weights that a clip names."""
    settings = clip.settings
    named = [settings.ranking.clip, settings.pose.detector]
    named += [clip.model, clip.controlnet or ""] if needs_model(clip) else []
    return [name for name in dict.fromkeys(named) if HUB_ID.fullmatch(name) and not Path(name).is_dir()]


def choices_of(recipe: Mapping[str, Any]) -> Callable[..., int] | None:
    """Chooses among an anchor's candidates what was chosen; None where there was nothing to choose."""
    choices = {
        round(float(position), DIGITS): int(choice) for position, choice in recipe.get("choices", {}).items()
    }

    def choose(position: float, *pictures: Any) -> int:
        return choices[round(position, DIGITS)]

    return choose if choices else None
