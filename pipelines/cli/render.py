"""``morph render``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import (
    assigned,
    model_options,
    overwrite_option,
    say,
    verbose_option,
    with_consent,
)
from pipelines.cli.progress import progress

if TYPE_CHECKING:  # --help waits for nothing
    from morph.diffusion.offload import Offload
    from pipelines.job.job import Job
    from pipelines.request.clip import Clip


@click.command()
@click.argument("inputs", nargs=-1, metavar="IMAGE IMAGE ... | FOLDER | MANIFEST")
@click.option("-o", "--output", metavar="OUT", help="A video, name.%04d.png, .tif or .exr, or a folder of PNGs.")
@click.option("--prompt", "prompts", multiple=True, help="What an image shows: once for all, or once per image.")
@click.option("--at", "times", multiple=True, metavar="TIME", help="When an image is shown: 2.5s or 60f, for each.")
@click.option("--frames", type=int, help="Frames in all, the images included.")
@click.option("--duration", metavar="TIME", help="In place of --frames: how long the film is, 4s or 96f.")
@click.option("--fps", help="Frames a second: 24, 12.5, 24000/1001.")
@click.option("--hold", metavar="TIME", help="How long every image stands still: 0.5s or 12f.")
@click.option("--ease", type=click.Choice(["none", "in", "out", "in-out"]), help="Start or stop slowly at images.")
@click.option("--loop", "repeat", flag_value="loop", help="Go on to the first image again.")
@click.option("--ping-pong", "repeat", flag_value="ping-pong", help="Go there and back.")
@click.option("--inbetween", metavar="K|auto", help="Interpolate K frames between rendered ones that are close.")
@click.option("--align/--no-align", default=None, help="Bring images into register, so that things move.")
@click.option("--points", metavar="FILE", help="Places that are the same: xa, ya, xb, yb in pixels, a line each.")
@click.option("--codec", metavar="NAME|FILE", help="h264, hevc, av1, prores-hq, ...  [default: by the suffix]")
@click.option("--depth", type=int, help="Bits of a channel, 8 or 16.")
@click.option("--timecode", metavar="HH:MM:SS:FF", help="Of the first frame; HH:MM:SS;FF counts in drop-frame.")
@click.option("--audio", metavar="FILE", help="Sound, cut or filled to the length; see encode.audio_fit.")
@click.option("--timeline", metavar="FILE", help="A .otio, .edl or .xml (FCP7) with a clip for every way.")
@click.option("--seed", type=int)
@click.option("--size", help="1920x1080, 256 (a square), native, or image: the first image's own  [default: image]")
@click.option("--model-size", help="What the diffusion works at: 512x320, native, or auto  [default: auto]")
@click.option("--fit", type=click.Choice(["crop", "pad"]), help="How images of another shape get that size.")
@click.option("--steps", type=int, help="DDIM steps.")
@click.option("--preset", metavar="NAME|FILE", help="[default: default]")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting; morph settings lists them."
)
@model_options
@click.option(
    "--lora", "loras", multiple=True, metavar="FILE[=WEIGHT]", help="A published LoRA of the model, safetensors."
)
@click.option(
    "--token", "tokens", multiple=True, metavar="FILE[=NAME]", help="A textual inversion: a new word for prompts."
)
@click.option("--hub", is_flag=True, help="Fetch the models that a MANIFEST names from the hub.")
@click.option("--choose", metavar="DIR", help="Pick each anchor yourself; DIR gets sheets and choices.json.")
@click.option("--embeddings", metavar="FILE", help="Fitted text embeddings: read if FILE exists, else written.")
@click.option("--frames-dir", metavar="DIR", help="Keep the frames as numbered PNGs as well.")
@click.option("--job", metavar="DIR", help="Where work is kept, to go on from  [default: OUT.job]")
@click.option("--change", is_flag=True, help="Go on with a broken-off job under other settings.")
@overwrite_option
@click.option("--dry-run", is_flag=True, help="Check the inputs and say what would be done.")
@click.option("--calibrate", is_flag=True, help="With --dry-run: load the model and measure a few steps.")
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def render(
    inputs: tuple[str, ...],
    dry_run: bool,
    calibrate: bool,
    as_json: bool,
    device: str,
    dtype: str,
    offload: Offload,
    choose: str | None,
    embeddings: str | None,
    frames_dir: str | None,
    job: str | None,
    change: bool,
    overwrite: bool,
    **clip_options: Any,
) -> None:
    """Render a morph from one IMAGE to the next, through a FOLDER of images, or as a MANIFEST says.

    What is fitted and rendered is kept beside the output: a run that was broken off goes on when the same
    command is given again, and a changed image or encode redoes only what it must.
    """
    from morph.errors import SettingsError
    from morph.media.stills import check_parent
    from pipelines.job.aside import Aside
    from pipelines.job.folder import job_folder, opened
    from pipelines.job.job import Job
    from pipelines.output.outputs import place
    from pipelines.request.costs import check_offload
    from pipelines.request.ways import is_filmed, needs_model

    if calibrate and not dry_run:
        raise SettingsError("--calibrate measures for a plan: add --dry-run")
    clip = _clip(inputs, **clip_options)
    if calibrate and not needs_model(clip):
        raise SettingsError("--calibrate measures a diffusion model, and between=dissolve needs none: leave it out")
    if calibrate and is_filmed(clip):
        raise SettingsError("--calibrate measures a model that paints single frames, and between=video has none")
    folder = Path(job) if job else job_folder(clip.output)
    if frames_dir and place(Path(frames_dir)) == place(clip.output):
        raise SettingsError(f"--frames-dir {frames_dir} is the output itself; choose another folder")
    stills = Path(frames_dir) if frames_dir else None
    planned_job = with_consent(
        lambda may: Job.of(clip, folder, stills, fetch=not dry_run, overwrite=may), overwrite, ask=not dry_run
    )
    if job:
        check_parent(folder)
    aside = Aside(Path(choose) if choose else None, Path(embeddings) if embeddings else None)
    aside.check(clip)
    check_offload(clip, offload)
    if dry_run:
        _say_plan(planned_job, device, dtype, offload, calibrate, as_json)
        return
    with opened(folder, clip, change):
        from pipelines.between.ranking import scored
        from pipelines.cli.choose import Person
        from pipelines.job.aside import CHOICES
        from pipelines.job.render import carry_out
        from pipelines.tasks.models import Models, quiet_libraries

        quiet_libraries()
        started = time.monotonic()
        person = None
        if aside.choose:
            person = Person(aside.choose, scored(clip.settings.ranking))
            if not sys.stdin.isatty():
                answers = aside.choose / CHOICES
                say(f"--choose asks on a terminal, and this is none: answers are taken from {answers}")
        models = Models.of(clip, device, dtype, offload)
        result = carry_out(planned_job, models, device, dtype, progress, person, aside.embeddings).as_dict()
        result["seconds"] = round(time.monotonic() - started, 2)
    extra = {"frames_dir": frames_dir, "choose": choose, "embeddings": embeddings}
    click.echo(json.dumps({**planned_job.as_dict(), **extra, **result}) if as_json else str(clip.output))


def _clip(
    inputs: tuple[str, ...],
    output: str | None,
    prompts: tuple[str, ...],
    times: tuple[str, ...],
    preset: str | None,
    assignments: tuple[str, ...],
    hold: str | None,
    model: str | None,
    controlnet: str | None,
    loras: tuple[str, ...],
    tokens: tuple[str, ...],
    hub: bool,
    **overrides: Any,
) -> Clip:
    """The clip that the arguments ask for: of images, of a folder of them, or of a manifest that holds one clip."""
    from dataclasses import replace

    from morph.errors import SettingsError
    from pipelines.manifest.folder import pictures
    from pipelines.manifest.read import is_manifest, read_manifest
    from pipelines.request.clip import clip_of
    from pipelines.request.lora_file import LoraFile
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import changed, every_setting
    from pipelines.request.times import parse_time
    from pipelines.request.token_file import TokenFile

    for key, setting in every_setting().items():
        if setting.about.option:
            overrides[key] = overrides.pop(setting.about.option)
    given = {**assigned(assignments), **{key: value for key, value in overrides.items() if value is not None}}
    if len(inputs) == 1 and is_manifest(Path(inputs[0])):
        excluded = {"--prompt": prompts, "--at": times, "--preset": preset, "--hold": hold}
        excluded |= {"--model": model, "--controlnet": controlnet, "--lora": loras, "--token": tokens}
        for option, value in excluded.items():
            if value:
                raise SettingsError(f"{option} and a manifest do not go together; write it into the manifest")
        clips = read_manifest(Path(inputs[0]), hub=hub, given=given)
        if len(clips) != 1:
            raise SettingsError(f"{inputs[0]} holds {len(clips)} clips; morph batch renders them all")
        return replace(clips[0], output=Path(output)) if output else clips[0]
    if hub:
        raise SettingsError("--hub is about what a manifest names, and there is none; --model may name a hub id")
    for option in ("frames", "duration"):
        if times and overrides[option]:
            raise SettingsError(f"--at says where every image stands; leave out --{option}")
    if not output:
        raise SettingsError("the output has no name; write -o morph.mp4, or -o frames/ for PNGs")
    settings = changed(load_preset(preset or "default"), given)
    if hold:
        settings = changed(settings, {"hold": parse_time(hold, settings.fps)})
    if len(inputs) == 1 and Path(inputs[0]).is_dir():
        inputs = tuple(map(str, pictures(Path(inputs[0]))))
    weights: dict[str, Any] = {"model": model or "embedded", "controlnet": controlnet}
    weights |= {"loras": tuple(map(LoraFile.parse, loras)), "tokens": tuple(map(TokenFile.parse, tokens))}
    return clip_of(inputs, prompts, settings, output, times, **weights)


def _say_plan(planned_job: Job, device: str, dtype: str, offload: Offload, calibrate: bool, as_json: bool) -> None:
    """What would be done, and how long it takes if that is known, or measured."""
    planned_job.tell()
    from pipelines.job.speed import seconds_of
    from pipelines.request.ways import needs_model

    if device not in ("auto", "cpu") and needs_model(planned_job.clip):
        from pipelines.tasks.models import choose_device  # torch, which knows what devices there are, takes seconds

        choose_device(device, dtype)
    models = None
    if calibrate:
        from pipelines.tasks.models import Models, quiet_libraries

        quiet_libraries()
        models = Models.of(planned_job.clip, device, dtype, offload)
    seconds = seconds_of(planned_job, device, dtype, models, offload)
    memory = planned_job.memory(models.dtype if models else dtype, offload)
    needs = {one.dtype: one.as_dict() for one in memory} or None
    plan = {**planned_job.as_dict(), "memory_bytes": needs, "estimated_seconds": seconds, "dry_run": True}
    click.echo(json.dumps(plan) if as_json else planned_job.summary(seconds, memory))
