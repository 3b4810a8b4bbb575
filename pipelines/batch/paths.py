"""A clip for those who stand in another folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipelines.manifest.confined import MODELS
from pipelines.request.clip import Clip
from pipelines.request.settings import Settings, changed, every_setting, keys, naming


def absolute(clip: Clip) -> Clip:
    """The clip with all its paths from the root on."""

    def whole(name: str, known: tuple[str, ...]) -> str:
        return name if name in known or not name or not Path(name).exists() else str(Path(name).absolute())

    def settled(settings: Settings) -> Settings:
        flat, about = keys(settings), {key: every_setting()[key].about for key in naming("file", "weights")}
        read = [key for key, one in about.items() if one.scope != "encode"]  # by workers; the rest is read here
        return changed(settings, {key: whole(flat[key], about[key].known) for key in read})

    return replace(
        clip,
        keyframes=tuple(
            replace(entry, image=entry.image.absolute(), settings=settled(entry.settings))
            for entry in clip.keyframes
        ),
        settings=settled(clip.settings),
        output=clip.output.absolute(),
        model=whole(clip.model, MODELS["model"]),
        controlnet=whole(clip.controlnet, MODELS["controlnet"]) if clip.controlnet else None,
    )
