"""Several presets on one pair of images, checked before anything is loaded: sheet, table, and frames of each."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import ExistsError, SettingsError
from morph.media.recipe import published
from morph.media.stills import FIRST_FRAME, FrameFolder, atomic_path, check_parent, write_png
from morph.weights.semantic import has_codes
from pipelines.request.clip import clip_of
from pipelines.request.costs import check_offload
from pipelines.request.options.values import keys
from pipelines.request.presets import load_preset, preset_names
from pipelines.request.recipe import published_settings
from pipelines.request.settings import Settings, changed
from pipelines.request.ways import NO_MODEL

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from morph.diffusion.offload import Offload
    from pipelines.report.compare import Compared
    from pipelines.tasks.frames import Rendered
    from pipelines.tasks.progress import Bar

log = logging.getLogger("morph")
ALIGNED = "-aligned"
"""After the name of a preset whose images are in register, as by itself they are not."""


@dataclass(frozen=True)
class Computing:
    """What compares: a model ("embedded", a folder or a hub id), its ControlNet, and where they compute."""

    model: str = "embedded"
    controlnet: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    offload: Offload = "none"


@dataclass(frozen=True)
class Comparison:
    """Presets in the order in which they were compared. output: the folder. recipe: what was asked of them all."""

    output: str
    compared: Sequence[Compared]
    recipe: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        presets = [preset.as_dict() for preset in self.compared]
        return {"output": published(self.output), "presets": presets, "recipe": self.recipe}

    def table(self) -> str:
        """The figures as a Markdown table."""
        from pipelines.report.compare import table

        return table(self.compared)

    def write(self) -> None:
        """Write sheet.png, table.md and table.json into the folder, each in one step."""
        from pipelines.report.compare import sheet

        folder = Path(self.output)
        write_png(folder / "sheet.png", sheet(self.compared))
        for file, text in (("table.md", self.table()), ("table.json", json.dumps(self.as_dict(), indent=2))):
            with atomic_path(folder / file) as partial:
                partial.write_text(text + "\n")


def compare_presets(
    images: Sequence[str],
    output: str,
    presets: Sequence[str],
    prompts: Sequence[str],
    given: Mapping[str, Any],
    computing: Computing,
    bar: Bar,
    overwrite: bool = False,
    align: bool = False,
) -> Comparison:
    """Render presets from one image to another, and write what they measure and their frames into a folder.

    presets: names or TOML files, all where there are none. given: settings over those of every preset. bar: of the
    costs of a preset's stages makes what is told of progress while it is rendered.

    overwrite: in a folder that holds something, the frames of presets, sheet and table give way. align: presets
    that do not bring images into register are also rendered with images that are, where that goes together.

    Sheet and table are written anew after every preset, so that what is done can be seen.

    Raises:
        ExistsError: the folder holds something, and ``overwrite`` is not set.
        InputError: presets that cannot be compared, or a file in the folder's place.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{output} is a file; name a folder")
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise ExistsError(f"{output}: is there already and not empty: name another folder, or add --overwrite")
    check_parent(folder)
    chosen = comparable(presets, given, computing.model)
    chosen = _with_aligned(chosen) if align else chosen
    clips = {name: clip_of(images, prompts, settings) for name, settings in chosen.items()}
    for clip in clips.values():
        check_offload(clip, computing.offload)

    from morph.media.frame import to_rgb8
    from pipelines.job.pipeline import MorphPipeline
    from pipelines.report.compare import compare
    from pipelines.tasks.maker import maker_of
    from pipelines.tasks.models import quiet_libraries

    quiet_libraries()
    pipeline = MorphPipeline.from_pretrained(
        computing.model,
        controlnet=computing.controlnet,
        device=computing.device,
        dtype=computing.dtype,
        offload=computing.offload,
    )
    # whatever cannot run is found before anything is rendered
    plans = {name: pipeline.plan(clip) for name, clip in clips.items()}
    facts = [maker_of(pipeline, plan, folder).facts() for plan in plans.values()]
    told = next((one for one in facts if one.model), facts[0])  # of one that needs a model, if any does
    work = f"model {told.model} on {pipeline.device}" if told.model else NO_MODEL
    log.warning("%s; presets: %s", work, ", ".join(chosen))
    folder.mkdir(exist_ok=True)
    settings_of = {name: published_settings(keys(plan.clip.settings)) for name, plan in plans.items()}
    recipe = told.as_dict() | {
        "images": [published(image) for image in images],
        "prompts": prompts,
        "settings": settings_of,
    }

    def keep(name: str, rendered: Rendered) -> None:
        with FrameFolder(folder / name, replace=range(FIRST_FRAME, 10**7)) as stills:
            for frame in rendered:
                stills.write(to_rgb8(frame.pixels))

    comparison = Comparison(output, [], recipe)
    for number, (name, clip) in enumerate(clips.items(), 1):
        log.warning("%s (%d of %d)", name, number, len(clips))
        for notice in plans[name].notices:
            log.warning("%s", notice)
        with bar(plans[name].forwards) as callback:
            (compared,) = compare(pipeline, {name: clip}, callback, keep)
        comparison = Comparison(output, [*comparison.compared, compared], recipe)
        comparison.write()
    return comparison


def comparable(presets: Sequence[str], given: Mapping[str, Any], model: str = "embedded") -> dict[str, Settings]:
    """The settings of presets by their names, with ``given`` over them; of none, all that suit the model.

    Raises:
        SettingsError: two of one name, one that shows more than one way, or sizes that differ.
    """
    names = list(dict.fromkeys(presets)) or _suitable(model)
    chosen = {Path(name).stem: _changed(name, given) for name in names}
    if len(chosen) < len(names):
        raise SettingsError(f"two of the presets {', '.join(names)} have the same name")
    for name, settings in chosen.items():
        if settings.repeat != "once":
            raise SettingsError(
                f"repeat is {settings.repeat} in {name}, and compare measures one way there: set repeat=once"
            )
    for key in ("size", "model_size", "fit"):
        if len({getattr(settings, key) for settings in chosen.values()}) > 1:
            raise SettingsError(f"the presets differ in {key}: give one for all, with --set {key}=...")
    return chosen


def _with_aligned(chosen: Mapping[str, Settings]) -> dict[str, Settings]:
    """Presets, each followed by itself with images in register, where it has them not and can have them."""
    settings_of = {}
    for name, settings in chosen.items():
        settings_of[name] = settings
        if settings.align.on:
            continue
        if f"{name}{ALIGNED}" in chosen:
            raise SettingsError(
                f"a preset is called {name}{ALIGNED}, as {name} in register would be: call it otherwise"
            )
        try:
            settings_of[f"{name}{ALIGNED}"] = changed(settings, {"align.on": True})
        except SettingsError as error:
            log.warning("%s is compared as it is: %s", name, error)
    return settings_of


def _suitable(model: str) -> list[str]:
    """The presets that a model of pictures can make: one makes all that is compared."""
    names = [name for name in preset_names() if load_preset(name).between != "video"]
    return names if has_codes(model) else [name for name in names if not load_preset(name).infill.codes]


def _changed(preset: str, given: Mapping[str, Any]) -> Settings:
    """A preset with settings over it; what does not go together is said with the preset's name."""
    settings = load_preset(preset)
    try:
        return changed(settings, given)
    except SettingsError as error:
        raise SettingsError(f"preset {Path(preset).stem}: {error}") from None
