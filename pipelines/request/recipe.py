"""How a clip was made, ready for JSON, and from there the same clip again."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from morph.errors import SettingsError
from morph.media.moment import file_of
from morph.media.recipe import published
from morph.media.sequence import is_sequence
from morph.weights.locate import HUB_ID
from morph.weights.vectors import own_word
from pipelines.request.clip import Clip, ClipKeyframe
from pipelines.request.contents import Contents, hash_of_file
from pipelines.request.edits.edit import Edit
from pipelines.request.lora_file import LoraFile
from pipelines.request.options.values import keys
from pipelines.request.presets import names_file
from pipelines.request.settings import Settings, changed, every_setting, naming
from pipelines.request.token_file import TokenFile
from pipelines.request.ways import needs_model

TEXTS = ("name", "output", "device", "dtype", "frames")
"""What every recipe of a clip says in so many words."""
POINTS = "align.points"
DIGITS = 9
"""Decimals of a position that count."""
log = logging.getLogger("morph")


def recipe_of(clip: Clip) -> dict[str, Any]:
    """What was asked for; a keyframe has what it has of its own. Files are named, and known by their hashes."""
    common = keys(clip.settings)
    keyframes = []
    for keyframe in clip.keyframes:
        overrides = {key: value for key, value in keys(keyframe.settings).items() if value != common[key]}
        entry: dict[str, Any] = {"image": published(keyframe.image), "sha256": hash_of_file(keyframe.image)}
        entry |= {"bytes": file_of(keyframe.image).stat().st_size}
        entry |= {"prompt": keyframe.prompt}
        entry |= {"at": keyframe.at} if keyframe.at is not None else {}
        entry |= {"hold": keyframe.hold} if keyframe.hold else {}
        entry |= _published_loras(keyframe.loras)
        entry |= {"edits": list(map(published_edit, keyframe.edits))} if keyframe.edits else {}
        keyframes.append(entry | (_settings(overrides) if overrides else {}))
    controlnet = clip.controlnet and published(clip.controlnet)
    added = _published_loras(clip.loras) | _published_tokens(clip.tokens)
    return {
        "name": clip.name,
        "output": published(clip.output),
        "asked": {"model": published(clip.model), "controlnet": controlnet, **added},
        "keyframes": keyframes,
        **_settings(common),
    }


def _published_loras(loras: Sequence[LoraFile]) -> dict[str, Any]:
    """LoRAs for a recipe, if there are any: files are named, and known by their hashes."""
    entries = [{**_published_file(entry.file), "weight": entry.weight} for entry in loras]
    return {"loras": entries} if entries else {}


def _published_tokens(tokens: Sequence[TokenFile]) -> dict[str, Any]:
    """Words for a recipe, if there are any, likewise."""
    entries = [{**_published_file(entry.file), "token": entry.token or own_word(entry.file)} for entry in tokens]
    return {"tokens": entries} if entries else {}


def _published_file(file: Path) -> dict[str, Any]:
    return {"file": published(file), "sha256": hash_of_file(file), "bytes": file.stat().st_size}


def published_edit(edit: Edit) -> dict[str, Any]:
    """An edit for a recipe: its files are named, and known by their hashes; weights are named."""
    weights = {name: published(source) for name, source in edit.weights.items()}
    return edit.as_dict() | weights | {name: _published_file(file) for name, file in edit.files.items()}


def published_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a recipe names them: no paths, see :func:`morph.media.recipe.published`."""
    paths = naming("file", "weights", "codec", "output")
    return {key: published(value) if key in paths and value else value for key, value in values.items()}


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for a recipe, and the SHA-256 of the files that they name, by their keys."""
    files = {key: hash_of_file(Path(values[key])) for key in naming("file") if values.get(key)}
    return {"settings": published_settings(values)} | ({"files": files} if files else {})


def clip_from(
    recipe: Mapping[str, Any],
    output: Path | None,
    folders: Sequence[Path],
    codec: str | None = None,
    moved: Mapping[str, str] = MappingProxyType({}),
    file: Path | None = None,
    known: Sequence[Path] = (),
) -> Clip:
    """The clip of a recipe. Images are those that have the same bytes: where they were, or in one of the folders.

    So are LoRAs, tokens, and files that settings name; these may also be where ``moved`` says. What has another
    name now is told. ``file`` is what holds the recipe, and ``known`` are places where what it names may be.

    Without ``output`` it is called as it was, with -rerun in its name, in the current folder. ``codec`` takes the
    place of its encode preset, and ``moved`` that of files and weights that settings name, of keyframes among them.

    Raises:
        InputError: an image is nowhere, or its bytes are others.
        SettingsError: settings of another version, or not a clip's recipe; a setting that names no such thing.
    """
    _check(file, recipe)
    contents = Contents(folders, known)
    movable = naming("file", "weights")
    if fixed := [key for key in moved if key not in movable]:
        raise SettingsError(f"{fixed[0]} stays as the recipe has it; what may have moved is {', '.join(movable)}")
    try:

        def relocated(settings: Settings, part: Mapping[str, Any]) -> Settings:
            values = {**part.get("settings", {}), "encode.timeline": ""}
            values |= {key: _weights(values[key], contents) for key in naming("weights") if key in values}
            # points decide the frames, so that they must be the same wherever somebody says that they are
            values |= {key: name for key, name in moved.items() if key != POINTS}
            for key in naming("file"):
                if values.get(key) and (key == POINTS or key not in moved):
                    kind, place = ("points", moved.get(key)) if key == POINTS else ("file", None)
                    if not (digest := part.get("files", {}).get(key)):
                        raise SettingsError(
                            f"{file or 'this'} names {values[key]} and no hash of it: say which file {key} is, by "
                            f"--set {key}=FILE"
                        )
                    found = contents.find(kind, Path(values[key]), digest, place=Path(place) if place else None)
                    values[key] = str(found)
            return changed(settings, values)

        settings = relocated(Settings(), recipe)
        if codec:
            settings = changed(settings, {"encode.preset": codec})
        elif names_file(settings.encode.preset):
            raise SettingsError(
                f"its encode preset is the file {settings.encode.preset}, which can make ffmpeg write anywhere: "
                "name it by --codec, or another"
            )

        def found_loras(part: Mapping[str, Any]) -> tuple[LoraFile, ...]:
            entries = part.get("loras", [])
            if any(type(entry["weight"]) not in (int, float) for entry in entries):
                raise TypeError
            found = (
                contents.find("LoRA", Path(entry["file"]), entry["sha256"], entry.get("bytes")) for entry in entries
            )
            return tuple(LoraFile(path, entry["weight"]) for path, entry in zip(found, entries, strict=True))

        def found_tokens(entries: Sequence[Mapping[str, Any]]) -> tuple[TokenFile, ...]:
            if not all(isinstance(entry["token"], str) for entry in entries):
                raise TypeError
            found = (
                contents.find("token", Path(entry["file"]), entry["sha256"], entry.get("bytes"))
                for entry in entries
            )
            return tuple(TokenFile(path, entry["token"]) for path, entry in zip(found, entries, strict=True))

        def found_edit(values: Mapping[str, Any]) -> Edit:
            named = {name: entry for name, entry in values.items() if isinstance(entry, Mapping)}
            found = {
                name: str(contents.find("file", Path(entry["file"]), entry["sha256"], entry.get("bytes")))
                for name, entry in named.items()
            }
            edit = Edit.again({**values, **found})
            if bare := sorted(edit.files.keys() - found.keys()):
                raise SettingsError(
                    f"{file or 'this'} names {values[bare[0]]} as {bare[0]} of an edit, and no hash of it, "
                    "by which it would be known: it is not read"
                )
            return edit.with_names({name: _weights(source, contents) for name, source in edit.weights.items()})

        keyframes = tuple(
            ClipKeyframe(
                contents.find("picture", Path(entry["image"]), entry["sha256"], entry.get("bytes")),
                relocated(settings, entry),
                entry["prompt"],
                entry.get("at"),
                entry.get("hold", 0),
                found_loras(entry),
                tuple(map(found_edit, entry.get("edits", []))),
            )
            for entry in recipe["keyframes"]
        )
        asked = recipe["asked"]
        texts = [asked["model"], *([] if asked["controlnet"] is None else [asked["controlnet"]])]
        texts += [keyframe.prompt for keyframe in keyframes]
        numbers = [number for each in keyframes for number in (each.at, each.hold) if number is not None]
        if not all(isinstance(text, str) for text in texts) or any(type(number) is not int for number in numbers):
            raise TypeError
        stem, dot, suffix = Path(recipe["output"]).name.partition(".")
        target = output or Path(f"{stem}-rerun{dot}{suffix}")
        clip = Clip(
            recipe["name"],
            keyframes,
            settings,
            target,
            _weights(asked["model"], contents),
            asked["controlnet"] and _weights(asked["controlnet"], contents),
            found_loras(asked),
            found_tokens(asked.get("tokens", [])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{error.args[0]} is missing in it" if isinstance(error, KeyError) else "a part of it is wrong"
        raise SettingsError(f"{file or 'this'} holds no recipe of a rendered clip: {what}") from None
    if contents.told:
        log.warning("%s", contents.told)
    return clip


def _weights(name: str, contents: Contents) -> str:
    """What weights of a recipe are called here. A name without a slash may be of a folder that is elsewhere."""
    known = {name for key in naming("weights") for name in every_setting()[key].about.known}
    return name if not name or name in known or HUB_ID.fullmatch(name) else contents.folder(name)


def _check(file: Path | None, recipe: Mapping[str, Any]) -> None:
    """Refuse the recipe of something else than a rendered clip.

    Raises:
        SettingsError: what is missing, or the command that makes an interpolated film again.
    """
    name = file or "this"
    if "to_fps" in recipe and "source" in recipe:
        raise SettingsError(
            f"{name} was interpolated, not rendered: this makes it again, but for a --codec of its own: "
            f"{_retiming(file, recipe)}"
        )
    wrong = [key for key, kind in _PARTS.items() if not isinstance(recipe.get(key, kind()), kind)]
    if wrong := [key for key in _PARTS if key not in recipe and key not in _OPTIONAL] + wrong:
        raise SettingsError(f"{name} holds no recipe of a rendered clip: {wrong[0]} is missing in it, or wrong")


_PARTS: dict[str, type] = {
    **dict.fromkeys(TEXTS, str),
    **dict.fromkeys(("asked", "files", "settings", "choices"), dict),
    "keyframes": list,
    "threads": int,
}
"""The parts of a recipe of a rendered clip, and what they are."""
_OPTIONAL = ("files", "choices", "threads")


def _retiming(file: Path | None, recipe: Mapping[str, Any]) -> str:
    """The command that makes an interpolated film."""
    source, method = str(recipe["source"]), str(recipe.get("method", ""))
    stem, dot, suffix = (file.name.removesuffix(".json") if file else "out.mp4").partition(".")
    words = ["morph", "interpolate", source, "-o", f"{stem}-rerun{dot}{suffix}", "--to-fps", str(recipe["to_fps"])]
    if "fps" in recipe and is_sequence(source):  # a video says it itself
        words += ["--fps", str(recipe["fps"])]
    words += ["--missing", str(recipe["missing"])] if "missing" in recipe else []
    if method.startswith("RIFE"):
        weights = method.removeprefix("RIFE, weights ")
        words += ["--method", "rife", *([] if weights.startswith("of the package") else ["--weights", weights])]
    elif method == "cross-fade":
        words += ["--method", "blend"]
    return shlex.join([*words, *(["--threshold", str(recipe["threshold"])] if "threshold" in recipe else [])])


def remote(clip: Clip) -> list[str]:
    """Hub ids among the weights that a clip names."""
    settings = clip.settings
    named = [settings.ranking.clip, settings.pose.detector]
    named += [source for edit in clip.edits for source in edit.weights.values()]
    named += [clip.model, clip.controlnet or ""] if needs_model(clip) else []
    return [name for name in dict.fromkeys(named) if HUB_ID.fullmatch(name) and not os.path.isdir(name)]


def choices_of(recipe: Mapping[str, Any]) -> Callable[..., int] | None:
    """Chooses among an anchor's candidates what was chosen; None where there was nothing to choose."""
    try:
        choices = {round(float(at), DIGITS): int(choice) for at, choice in recipe.get("choices", {}).items()}
    except (TypeError, ValueError):
        raise SettingsError("the recipe's choices are no numbers by position") from None

    def choose(position: float, *pictures: Any) -> int:
        if (key := round(position, DIGITS)) not in choices:
            raise SettingsError(f"the recipe holds no choice for the anchor at {position}")
        return choices[key]

    return choose if choices else None
