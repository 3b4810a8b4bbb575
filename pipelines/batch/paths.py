"""Where a clip's job is, and the clip for those who stand in another folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipelines.manifest.confined import MODELS
from pipelines.request.clip import Clip
from pipelines.request.edits.edit import Edit
from pipelines.request.lora_file import LoraFile
from pipelines.request.options.values import keys
from pipelines.request.settings import Settings, changed, every_setting, naming


def job_of(clip: Clip, folder: Path) -> Path:
    """The folder of a clip's own job in that of its batch."""
    return folder / "clips" / clip.name


def absolute(clip: Clip) -> Clip:
    """The clip with all its paths from the root on."""

    def absolute_name(name: str, known: tuple[str, ...]) -> str:
        return name if name in known or not name or not Path(name).exists() else str(Path(name).absolute())

    def absolute_settings(settings: Settings) -> Settings:
        values, abouts = keys(settings), {key: every_setting()[key].about for key in naming("file", "weights")}
        # read by workers; the rest is read here
        worker_keys = [key for key, about in abouts.items() if about.scope != "encode"]
        return changed(settings, {key: absolute_name(values[key], abouts[key].known) for key in worker_keys})

    def absolute_loras(loras: tuple[LoraFile, ...]) -> tuple[LoraFile, ...]:
        return tuple(replace(entry, file=entry.file.absolute()) for entry in loras)

    def absolute_edit(edit: Edit) -> Edit:
        files = {name: str(file.absolute()) for name, file in edit.files.items()}
        return edit.with_names(files | {name: absolute_name(text, ()) for name, text in edit.weights.items()})

    return replace(
        clip,
        keyframes=tuple(
            replace(
                entry,
                image=entry.image.absolute(),
                settings=absolute_settings(entry.settings),
                loras=absolute_loras(entry.loras),
                edits=tuple(map(absolute_edit, entry.edits)),
            )
            for entry in clip.keyframes
        ),
        settings=absolute_settings(clip.settings),
        output=clip.output.absolute(),
        model=absolute_name(clip.model, MODELS["model"]),
        controlnet=absolute_name(clip.controlnet, MODELS["controlnet"]) if clip.controlnet else None,
        loras=absolute_loras(clip.loras),
        tokens=tuple(replace(entry, file=entry.file.absolute()) for entry in clip.tokens),
    )
