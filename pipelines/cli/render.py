"""``morph render``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import ProgressBar, assigned, model_options, say

if TYPE_CHECKING:  # --help waits for nothing
    from pipelines.request.plan import Sizes

SPEED_FROM = 100
"""U-Net forward equivalents below which a render says nothing about the machine's speed."""


@click.command()
@click.argument("inputs", nargs=-1, metavar="IMAGE IMAGE ... | FOLDER | MANIFEST")
@click.option("-o", "--output", metavar="OUT", help="A video, name.%04d.png, .tif or .exr, or a folder of PNGs.")
@click.option("--prompt", "prompts", multiple=True, help="What an image shows: once for all, or once per image.")
@click.option("--at", "times", multiple=True, metavar="TIME", help="When an image is shown: 2.5s or 60f, for each.")
@click.option("--frames", type=int, help="Frames in all, the images included.")
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
@click.option("--choose", metavar="DIR", help="Pick each anchor yourself; DIR gets sheets and choices.json.")
@click.option("--embeddings", metavar="FILE", help="Fitted text embeddings: read if FILE exists, else written.")
@click.option("--frames-dir", metavar="DIR", help="Keep the frames as numbered PNGs as well.")
@click.option("--job", metavar="DIR", help="Where work is kept, to go on from  [default: OUT.job]")
@click.option("--change", is_flag=True, help="Go on with a broken-off job under other settings.")
@click.option("--dry-run", is_flag=True, help="Check the inputs and say what would be done.")
@click.option("--calibrate", is_flag=True, help="With --dry-run: load the model and measure a few steps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def render(
    inputs: tuple[str, ...],
    dry_run: bool,
    calibrate: bool,
    as_json: bool,
    device: str,
    dtype: str,
    choose: str | None,
    embeddings: str | None,
    frames_dir: str | None,
    job: str | None,
    change: bool,
    **asked: Any,
) -> None:
    """Render a morph from one IMAGE to the next, through a FOLDER of images, or as a MANIFEST says.

    What is fitted and rendered is kept beside the output: a run that was broken off goes on when the same
    command is given again, and a changed image or encode redoes only what it must.
    """
    from morph.errors import SettingsError
    from morph.media.stills import check_parent
    from pipelines.job.folder import job_folder, opened
    from pipelines.output.outputs import place
    from pipelines.request.plan import leaves_choice, needs_model

    if calibrate and not dry_run:
        raise SettingsError("--calibrate measures for a plan: add --dry-run")
    clip = _clip(inputs, **asked)
    if calibrate and not needs_model(clip):
        raise SettingsError("--calibrate measures a diffusion model, and between=dissolve needs none: leave it out")
    folder = Path(job) if job else job_folder(clip.output)
    if frames_dir and place(Path(frames_dir)) == place(clip.output):
        raise SettingsError(f"--frames-dir {frames_dir} is the output itself; choose another folder")
    sizes = check(clip, folder, Path(frames_dir) if frames_dir else None, fetch=not dry_run)
    if job:
        check_parent(folder)
    if clip.controlnet and not clip.settings.pose.detector:
        raise SettingsError("a ControlNet needs poses: add --set pose.detector=mediapipe, a folder or a hub id")
    if choose and not leaves_choice(clip):
        raise SettingsError("--choose finds no choice: set anchors.depth and anchors.candidates above 1")
    if embeddings and not (clip.settings.textual_inversion.steps and needs_model(clip)):
        raise SettingsError("--embeddings finds nothing to keep: set textual_inversion.steps above 0")
    for path in (choose, embeddings):
        if path:
            check_parent(Path(path))
    if embeddings and Path(embeddings).is_dir():
        raise SettingsError(f"--embeddings {embeddings} is a folder; name a file")
    if choose and Path(choose).is_file():
        raise SettingsError(f"--choose {choose} is a file; name a folder")
    plan = _plan(clip, sizes, folder)
    if dry_run:
        _print_plan(plan, _seconds(clip, sizes.model, plan, (device, dtype), calibrate), as_json)
        return
    with opened(folder, clip, change):
        from pipelines.cli.choose import Person
        from pipelines.tasks.models import Models, quiet_libraries

        quiet_libraries()
        started = time.monotonic()
        models = Models.of(clip, device, dtype)
        result = carry_out(
            clip,
            folder,
            sizes,
            models,
            (device, dtype),
            Person(Path(choose)) if choose else None,
            Path(embeddings) if embeddings else None,
            Path(frames_dir) if frames_dir else None,
        )
        result["seconds"] = round(time.monotonic() - started, 2)
    aside = {"frames_dir": frames_dir, "choose": choose, "embeddings": embeddings}
    click.echo(json.dumps({**plan, **aside, **result}) if as_json else str(clip.output))


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
    **overrides: Any,
) -> Any:
    """The clip that the arguments ask for: of images, of a folder of them, or of a manifest that holds one clip."""
    from dataclasses import replace

    from morph.errors import SettingsError
    from pipelines.manifest.read import is_manifest, pictures, read_manifest
    from pipelines.request.clip import clip_of, parse_time
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import changed, every_setting

    for key, one in every_setting().items():
        if one.about.option:
            overrides[key] = overrides.pop(one.about.option)
    given = {**assigned(assignments), **{key: value for key, value in overrides.items() if value is not None}}
    if len(inputs) == 1 and is_manifest(Path(inputs[0])):
        taken = {"--prompt": prompts, "--at": times, "--preset": preset, "--hold": hold}
        taken |= {"--model": model, "--controlnet": controlnet}
        for option, value in taken.items():
            if value:
                raise SettingsError(f"{option} and a manifest do not go together; write it into the manifest")
        clips = read_manifest(Path(inputs[0]), given=given)
        if len(clips) != 1:
            raise SettingsError(f"{inputs[0]} holds {len(clips)} clips; morph batch renders them all")
        return replace(clips[0], output=Path(output), named=True) if output else clips[0]
    if times and overrides["frames"]:
        raise SettingsError("--at says where every image stands; leave out --frames")
    if not output:
        raise SettingsError("the output has no name; write -o morph.mp4, or -o frames/ for PNGs")
    settings = changed(load_preset(preset or "default"), given)
    if hold:
        settings = changed(settings, {"hold": parse_time(hold, settings.fps)})
    if len(inputs) == 1 and Path(inputs[0]).is_dir():
        inputs = tuple(map(str, pictures(Path(inputs[0]))))
    return clip_of(inputs, prompts, settings, output, times, model=model or "embedded", controlnet=controlnet)


def check(clip: Any, folder: Path, frames_dir: Path | None, fetch: bool) -> Sizes:
    """Refuse what cannot be read or written before any weights are loaded; the sizes of frames and of the model."""
    from morph.diffusion.geometry import Geometry
    from morph.media.keyframe import read_image
    from morph.weights.locate import locate
    from pipelines.job.checks import check_files
    from pipelines.job.folder import check_job
    from pipelines.output.outputs import outputs_of
    from pipelines.request.plan import needs_model, sizes_of, ways
    from pipelines.request.points import marked

    check_job(folder)
    transparent, shapes = [], []
    for keyframe in clip.keyframes:
        image = read_image(keyframe.image)
        transparent.append(image.alpha is not None)
        height, width = image.pixels.shape[:2]
        shapes.append((width, height))
    model, _ = locate(clip.model, fetch=fetch and needs_model(clip))  # its configs say of sizes
    sizes = sizes_of(clip.settings, Geometry.from_folder(model), shapes[0])
    for number in range(len(ways(clip))):
        marked(clip, number, sizes.frame, shapes.__getitem__)
    outputs = outputs_of(clip, sizes.frame, all(transparent), frames_dir)
    check_files(clip, outputs, folder)
    for output in outputs:
        if not fetch:  # a plan; a render says it by itself
            output.tell(all(transparent))
    return sizes


def _plan(clip: Any, sizes: Sizes, folder: Path) -> dict[str, Any]:
    """What will be done, ready for JSON; warns where the disk has no room for it."""
    import shutil

    from pipelines.request.plan import costs, disk_bytes, needs_model
    from pipelines.request.settings import keys

    disk = disk_bytes(clip, sizes)
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if disk > free:
        say(f"{folder} may need {disk / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free: no space left may stop this")
    return {
        "output": str(clip.output),
        "job": str(folder),
        "frames": clip.length,
        "fps": str(clip.settings.fps),
        "seconds_of_video": float(clip.length / clip.settings.fps),
        "size": list(sizes.frame),
        "model_size": list(sizes.model),
        "model": clip.model if needs_model(clip) else None,
        "settings": keys(clip.settings),
        "unet_forwards": sum(costs(clip).values()),
        "disk_bytes": disk,
    }


def _seconds(
    clip: Any, size: tuple[int, int], plan: dict[str, Any], where: tuple[str, str], calibrate: bool
) -> float | None:
    """How long the render will take; None where this machine was never measured, or where no model is needed."""
    from pipelines.job import speed

    if plan["model"] is None:
        return None
    if calibrate:
        from pipelines.tasks.models import Models, quiet_libraries

        quiet_libraries()
        device, dtype = where
        models = Models.from_pretrained(clip.model, controlnet=clip.controlnet, device=device, dtype=dtype)
        each: float | None = speed.calibrate(models, size, clip.settings.batch)
    else:
        each = speed.seconds_per_forward(_machine(clip, where), size)
    return None if each is None else each * plan["unet_forwards"]


def _machine(clip: Any, where: tuple[str, str]) -> str:
    return f"{clip.model} on {where[0]} in {where[1]}"


def _print_plan(plan: dict[str, Any], seconds: float | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**plan, "estimated_seconds": seconds, "dry_run": True}))
        return
    from pipelines.request.plan import NO_MODEL

    size, inside = (f"{width}x{height}" for width, height in (plan["size"], plan["model_size"]))
    takes = f"about {seconds:.0f} s here" if seconds else "how long is not known here: add --calibrate to measure"
    work = f"{plan['unet_forwards']} U-Net forwards of model {plan['model']} at {inside}, {takes}"
    click.echo(
        f"{plan['output']}: {plan['frames']} frames of {size} at {plan['fps']} fps, "
        f"{plan['seconds_of_video']:.2f} s; {work if plan['model'] else NO_MODEL}; "
        f"up to {plan['disk_bytes'] / 1e6:.0f} MB in {plan['job']}"
    )


def carry_out(
    clip: Any,
    folder: Path,
    sizes: Sizes,
    models: Any,
    where: tuple[str, str],
    choose: Any = None,
    embeddings: Path | None = None,
    frames_dir: Path | None = None,
) -> dict[str, Any]:
    """Render a clip and write it; what a command reports of it. ``choose`` picks among candidates."""
    from pipelines.job import speed
    from pipelines.job.produce import produce
    from pipelines.request.plan import costs
    from pipelines.tasks.work import in_process, work_of

    say(models.said)
    bar = ProgressBar(costs(clip))
    try:
        work = work_of(models, clip, folder, bar, choose, embeddings)
        began = time.monotonic()
        produced = produce(clip, in_process(work), folder, frames_dir)
        spent = sum(bar.spent.values())
        if spent >= SPEED_FROM:
            speed.remember(_machine(clip, where), sizes.model, (time.monotonic() - began) / spent)
    finally:
        bar.close()
    say(str(produced))
    return {**produced.as_dict(), "unet_forwards": spent, "spent": bar.spent}
