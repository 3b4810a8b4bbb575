"""``morph compare``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import ProgressBar, assigned, model_options, say

if TYPE_CHECKING:  # --help waits for nothing
    from pipelines.request.settings import Settings
    from pipelines.tasks.sequence import Rendered


@click.command()
@click.argument("images", nargs=2, metavar="IMAGE IMAGE")
@click.option("-o", "--output", required=True, metavar="DIR", help="A folder that is not there yet, or empty.")
@click.option("--preset", "presets", multiple=True, metavar="NAME|FILE", help="Once per preset; all when left out.")
@click.option("--prompt", "prompts", multiple=True, help="What an image shows: once for all, or once per image.")
@click.option("--frames", default=17, show_default=True, help="Frames of every preset: figures need one count.")
@click.option("--size", help="1920x1080, 256 (a square), native, or image: the first image's own  [default: image]")
@click.option("--model-size", help="What the diffusion works at: 512x320, native, or auto  [default: auto]")
@click.option("--seed", type=int)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="For every preset; see morph settings."
)
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def compare(
    images: tuple[str, str],
    output: str,
    presets: tuple[str, ...],
    prompts: tuple[str, ...],
    assignments: tuple[str, ...],
    model: str | None,
    controlnet: str | None,
    device: str,
    dtype: str,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Render several presets from one IMAGE to another: one sheet, one table, and the frames of each."""
    from morph.errors import SettingsError
    from morph.media.stills import FrameFolder, atomic_path, check_parent, write_png
    from pipelines.request.plan import costs
    from pipelines.request.presets import preset_names

    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{output} is there already and not empty; name another folder")
    check_parent(folder)
    given = {**assigned(assignments), **{key: value for key, value in overrides.items() if value is not None}}
    names = list(dict.fromkeys(presets)) or preset_names()
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

    from morph.media.frame import to_rgb8
    from pipelines.report import compare as comparing
    from pipelines.request.clip import clip_of
    from pipelines.request.settings import keys
    from pipelines.tasks.models import quiet_libraries
    from pipelines.tasks.pipeline import MorphPipeline
    from pipelines.tasks.work import work_of

    clips = {name: clip_of(images, prompts, settings) for name, settings in chosen.items()}
    quiet_libraries()
    pipeline = MorphPipeline.from_pretrained(model or "embedded", controlnet=controlnet, device=device, dtype=dtype)
    say(f"model {pipeline.model.name} on {pipeline.model.device}; {len(chosen)} presets")
    # whatever cannot run is found before anything is rendered
    facts = [work_of(pipeline, clip, folder).facts() for clip in clips.values()]
    folder.mkdir(exist_ok=True)
    settings_of = {name: keys(settings) for name, settings in chosen.items()}
    made_by = facts[0] | {"images": images, "prompts": prompts, "settings": settings_of}
    compared: list[comparing.Compared] = []

    def keep(name: str, rendered: Rendered) -> None:
        with FrameFolder(folder / name) as stills:
            for frame in rendered:
                stills.write(to_rgb8(frame.pixels))

    bar: ProgressBar
    running = comparing.compare(pipeline, clips, lambda stage, cost, preview=None: bar(stage, cost, preview), keep)
    for number, (name, clip) in enumerate(clips.items(), 1):
        say(f"{name} ({number} of {len(chosen)})")
        bar = ProgressBar(costs(clip))
        try:
            one = next(running)
        finally:
            bar.close()
        compared.append(one)
        write_png(folder / "sheet.png", comparing.sheet(compared))
        result = {"output": output, "presets": [one.as_dict() for one in compared], "recipe": made_by}
        for file, text in (("table.md", comparing.table(compared)), ("table.json", json.dumps(result, indent=2))):
            with atomic_path(folder / file) as partial:
                partial.write_text(text + "\n")
    click.echo(json.dumps(result) if as_json else comparing.table(compared))


def _changed(preset: str, given: Mapping[str, Any]) -> Settings:
    """A preset with settings over it; what does not go together is said with the preset's name."""
    from morph.errors import SettingsError
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import changed

    settings = load_preset(preset)
    try:
        return changed(settings, given)
    except SettingsError as error:
        raise SettingsError(f"preset {Path(preset).stem}: {error}") from None
