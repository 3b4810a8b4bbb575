"""``morph render``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import ProgressBar, assigned, model_options, quiet_libraries, say, say_before, say_nobody


@click.command()
@click.argument("images", nargs=-1, metavar="IMAGE IMAGE ...")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="a .mp4, .mov, .mkv, .webm or .gif, or a folder of PNGs",
)
@click.option("--prompt", "prompts", multiple=True, help="What an image shows: once for all, or once per image.")
@click.option("--frames", type=int, help="Frames in all, the images included.")
@click.option("--fps", help="Frames a second: 24, 12.5, 24000/1001.")
@click.option("--seed", type=int)
@click.option("--size", help="256, 320x192, or native: what the model was trained for.")
@click.option("--fit", type=click.Choice(["crop", "pad"]), help="How images of another shape get that size.")
@click.option("--steps", type=int, help="DDIM steps.")
@click.option("--preset", default="default", show_default=True, metavar="NAME|FILE")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any other setting of a preset.")
@model_options
@click.option("--choose", metavar="DIR", help="Pick each anchor yourself; DIR gets sheets and choices.json.")
@click.option("--embeddings", metavar="FILE", help="Fitted text embeddings: read if FILE exists, else written.")
@click.option("--frames-dir", metavar="DIR", help="Keep the frames as numbered PNGs as well.")
@click.option("--dry-run", is_flag=True, help="Check the inputs and say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def render(
    images: tuple[str, ...],
    output: str,
    prompts: tuple[str, ...],
    preset: str,
    assignments: tuple[str, ...],
    model: str,
    controlnet: str | None,
    device: str,
    dtype: str,
    choose: str | None,
    embeddings: str | None,
    frames_dir: str | None,
    dry_run: bool,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Render a morph from one IMAGE to the next."""
    from morph.diffusion.files import Geometry, locate
    from morph.errors import SettingsError
    from morph.media.keyframe import read_image
    from morph.media.stills import check_folder
    from morph.media.video import check_output, video_notices
    from pipelines.plan import check_frames, costs, frame_size, pair_prompts
    from pipelines.settings import changed, keys, load_preset

    if not output:
        raise SettingsError("the output has no name; write -o morph.mp4, or -o frames/ for PNGs")
    given = {key: value for key, value in overrides.items() if value is not None}
    settings = changed(load_preset(preset), {**assigned(assignments), **given})
    if len(images) < 2:
        raise SettingsError(f"a morph needs at least two images; {len(images)} was given")
    check_frames(settings, len(images))
    pair_prompts(prompts, len(images))
    for image in images:
        read_image(image)
    folder, _ = locate(model, fetch=not dry_run)
    size = frame_size(settings.size, Geometry.from_folder(folder))
    check_output(output, size, settings.fps)
    if frames_dir:
        check_folder(Path(frames_dir))
        if Path(frames_dir).resolve() == Path(output).resolve():
            raise SettingsError(f"--frames-dir {frames_dir} is the output itself; choose another folder")
    _check_aside(settings, controlnet, choose, embeddings)
    for notice in video_notices(output, settings.fps):
        say(notice)
    plan = {
        "output": output,
        "frames": settings.frames,
        "fps": str(settings.fps),
        "seconds_of_video": float(settings.frames / settings.fps),
        "size": list(size),
        "model": model,
        "preset": preset,
        "settings": keys(settings),
        "unet_forwards": sum(costs(settings, len(images)).values()),
    }
    if dry_run:
        _print_plan(plan, as_json)
        return
    aside = {"frames_dir": frames_dir, "choose": choose, "embeddings": embeddings}
    result = _render(images, output, prompts, settings, plan, (model, controlnet, device, dtype), aside)
    click.echo(json.dumps(result) if as_json else output)


def _check_aside(settings: Any, controlnet: str | None, choose: str | None, embeddings: str | None) -> None:
    """Refuse options that the settings leave nothing to do, before any weights are loaded."""
    from morph.errors import SettingsError
    from morph.media.stills import check_parent
    from pipelines.plan import leaves_choice

    if controlnet and not settings.pose.detector:
        raise SettingsError("a ControlNet needs poses: add --set pose.detector=mediapipe, a folder or a hub id")
    if choose and not leaves_choice(settings):
        raise SettingsError("--choose finds no choice: set anchors.depth and anchors.candidates above 1")
    if embeddings and not settings.textual_inversion.steps:
        raise SettingsError("--embeddings finds nothing to keep: set textual_inversion.steps above 0")
    for path in (choose, embeddings):
        if path:
            check_parent(Path(path))
    if embeddings and Path(embeddings).is_dir():
        raise SettingsError(f"--embeddings {embeddings} is a folder; name a file")
    if choose and Path(choose).is_file():
        raise SettingsError(f"--choose {choose} is a file; name a folder")


def _render(
    images: tuple[str, ...],
    output: str,
    prompts: tuple[str, ...],
    settings: Any,
    plan: dict[str, Any],
    where: tuple[str, str | None, str, str],
    aside: dict[str, str | None],
) -> dict[str, Any]:
    """Do the work of ``render``; what it reports."""
    import hashlib
    import time
    from dataclasses import asdict

    from morph.media.stills import FrameFolder
    from morph.media.video import open_writer
    from morph.pacing import Evenness
    from pipelines.cli.choose import Person
    from pipelines.morph import MorphPipeline, recipe
    from pipelines.plan import costs

    quiet_libraries()
    started = time.monotonic()
    name, controlnet, device, dtype = where
    pipeline = MorphPipeline.from_pretrained(name, controlnet=controlnet, device=device, dtype=dtype)
    model = pipeline.model
    say(f"model {model.name} on {model.device} in {str(model.dtype).removeprefix('torch.')}")
    keyframes = pipeline.prepare(images, prompts, settings)
    say_before(pipeline, keyframes, settings)
    ranker, choose, known = pipeline.ranker(settings), None, aside["embeddings"]
    if ranker:
        choose = Person(Path(aside["choose"]), ranker) if aside["choose"] else ranker
    bar = ProgressBar(costs(settings, len(images)))
    try:
        fitted = pipeline.fit(keyframes, settings, bar, Path(known) if known else None)
        say_nobody(fitted, keyframes)
        route = pipeline.route(fitted, settings, bar, choose)
        frames = list(pipeline.render(route, settings, bar))
    finally:
        bar.close()
    made_by = recipe(model, keyframes, plan["settings"]) | {
        "clip": ranker.clip.name if ranker else None,
        "choices": route.choices,
        "embeddings": hashlib.blake2b(Path(known).read_bytes(), digest_size=8).hexdigest() if known else None,
    }
    comment = json.dumps(made_by)
    if aside["frames_dir"]:
        with FrameFolder(Path(aside["frames_dir"]), comment=comment) as stills:
            for frame in frames:
                stills.write(frame.pixels)
    with open_writer(output, tuple(plan["size"]), settings.fps, comment) as writer:
        for frame in frames:
            writer.write(frame.pixels)
    figures = Evenness.of([frame.distance for frame in frames[1:]])
    trips = [round(decibels, 2) for decibels in route.round_trips]
    say(
        f"{len(frames)} frames; neighbours {figures.mean_gap:.4f} LPIPS apart on average, "
        f"the largest gap {figures.max_mean_gap:.2f} times that, PDV {figures.pdv:.2e}; "
        f"{f'latents came back at {min(trips)} dB or more' if trips else 'nothing was inverted'}"
    )
    return {
        **plan,
        **aside,
        "seconds": round(time.monotonic() - started, 2),
        "alphas": [frame.alpha for frame in frames],
        "distances": [frame.distance for frame in frames],
        **asdict(figures),
        "round_trip_db": trips,
        "unet_forwards": sum(bar.spent.values()),
        "spent": bar.spent,
        "recipe": made_by,
    }


def _print_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**plan, "dry_run": True}))
        return
    width, height = plan["size"]
    click.echo(
        f"{plan['output']}: {plan['frames']} frames of {width}x{height} at {plan['fps']} fps, "
        f"{plan['seconds_of_video']:.2f} s; {plan['unet_forwards']} U-Net forwards of model {plan['model']}"
    )
