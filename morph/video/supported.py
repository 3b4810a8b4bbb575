"""Whether a video model is supported, told by its configs alone; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morph.diffusion.geometry import Geometry
from morph.errors import ModelError, SettingsError
from morph.video.families import MALFORMED, SUPPORTED, VideoFamily, video_family
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.stored import stored


def is_video(folder: Path) -> bool:
    """Whether the model in a folder makes videos and is of a family that is known, whole or not."""
    return video_family(folder) is not None


def check_video(folder: Path, weights: bool = True) -> VideoFamily:
    """Refuse what is no video model for a first and a last frame, and parts that are missing or do not go together.

    weights: safetensors must be there too. Returns the model's family.

    Raises:
        ModelError: which part is at fault, and what is supported.
    """
    family = _family(folder)
    configs = {part: read_json(folder / part / "config.json") for part in family.parts}
    for part, (key, wanted) in family.parts.items():
        if (kind := configs[part].get(key)) != wanted:
            raise ModelError(f"{folder / part} is {kind or 'of no kind that it names'}, not {wanted}: {SUPPORTED}")
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    if fault := family.fault(folder, configs["transformer"], scheduler):
        raise ModelError(f"model {folder} {fault}: {SUPPORTED}")
    if (kind := scheduler.get("_class_name")) not in family.schedulers:
        raise ModelError(f"{folder / 'scheduler'} is {kind}; supported are {', '.join(family.schedulers)}")
    _check_widths(folder, family, configs)
    for part in family.parts if weights else ():
        if not stored(folder / part, WEIGHT_FILES[part]):
            raise ModelError(f"{folder / part} has no {WEIGHT_FILES[part]}; only safetensors are loaded")
    return family


def _family(folder: Path) -> VideoFamily:
    """The family of the model in a folder; a ModelError where there is none."""
    if family := video_family(folder):
        return family
    kind = read_json(folder / "transformer" / "config.json").get("_class_name")
    raise ModelError(f"{folder / 'transformer'} is {kind or 'of no kind that it names'}: {SUPPORTED}")


def _check_widths(folder: Path, family: VideoFamily, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse parts that are not of one model."""
    try:
        pairs = list(family.pairs(configs))
        family.sides(configs["transformer"], configs["vae"])
    except MALFORMED:
        raise ModelError(
            f"the configs of model {folder} do not say how large its parts are; copy it again"
        ) from None
    for key, found, wanted in pairs:
        if found != wanted:
            raise ModelError(f"the parts of model {folder} do not go together: {key} is {found}, and not {wanted}")


def video_geometry(folder: Path) -> Geometry:
    """The sizes of a model that :func:`check_video` lets pass."""
    family = _family(folder)
    transformer, vae = (read_json(folder / part / "config.json") for part in ("transformer", "vae"))
    stride, longest = family.sides(transformer, vae)
    return Geometry(family.factors(vae)[1], stride, family.native, longest=longest)


def latent_frames(folder: Path) -> int:
    """How many frames one latent of a model that :func:`check_video` lets pass stands for."""
    return _family(folder).factors(read_json(folder / "vae" / "config.json"))[0]


def check_frames(across: int, frames: int) -> None:
    """Refuse a number of frames that a model cannot make, one of whose latents stands for ``across`` of them.

    Raises:
        SettingsError: with the nearest that it can.
    """
    if (frames - 1) % across:
        nearest = max(1, round((frames - 1) / across)) * across + 1
        raise SettingsError(
            f"video.frames is {frames}; this model makes a multiple of {across} and one more: "
            f"set video.frames={nearest}"
        )
