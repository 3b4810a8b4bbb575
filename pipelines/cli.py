"""``morph ...`` on the command line. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

from morph.errors import MorphError

INTERRUPTED = 130


class ProgressBar:
    """One bar over the whole job in U-Net forward equivalents, so that its time left means the whole."""

    def __init__(self, planned: dict[str, int]) -> None:
        from tqdm import tqdm

        self.planned = planned
        self.spent = dict.fromkeys(planned, 0)
        self._bar = tqdm(
            total=sum(planned.values()),
            bar_format="{desc:<13}{percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} left",
            file=sys.stderr,
            leave=False,
            mininterval=0.5,
        )

    def __call__(self, stage: str, cost: int) -> None:
        """Count what a stage has just spent; stages before it are over, whatever they had planned."""
        self.spent[stage] += cost
        order = list(self.planned)
        later = order[order.index(stage) + 1 :]
        remaining = max(0, self.planned[stage] - self.spent[stage]) + sum(self.planned[name] for name in later)
        done = sum(self.spent.values())
        self._bar.total = done + remaining
        self._bar.set_description_str(stage, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Clear the bar."""
        self._bar.close()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="morph")
def cli() -> None:
    """Turn still images into moving ones."""


def _model_options(command: Any) -> Any:
    options = (
        click.option("--model", default="embedded", show_default=True, metavar="embedded|FOLDER|HUB_ID"),
        click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps"),
        click.option(
            "--dtype",
            type=click.Choice(["auto", "float32", "bfloat16"]),
            default="auto",
            show_default=True,
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@click.argument("images", nargs=2, metavar="IMAGE IMAGE")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="a .mp4, .mov, .mkv, .webm or .gif, or a folder of PNGs",
)
@click.option("--prompt", "prompts", multiple=True, help="What an image shows: once for all, or once per image.")
@click.option("--frames", type=int, help="Frames in all, both images included.")
@click.option("--fps", help="Frames a second: 24, 12.5, 24000/1001.")
@click.option("--seed", type=int)
@click.option("--size", help="256, 320x192, or native: what the model was trained for.")
@click.option("--fit", type=click.Choice(["crop", "pad"]), help="How images of another shape get that size.")
@click.option("--steps", type=int, help="DDIM steps.")
@click.option("--preset", default="default", show_default=True, metavar="NAME|FILE")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any other setting of a preset.")
@_model_options
@click.option("--frames-dir", metavar="DIR", help="Keep the frames as numbered PNGs as well.")
@click.option("--dry-run", is_flag=True, help="Check the inputs and say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def render(
    images: tuple[str, str],
    output: str,
    prompts: tuple[str, ...],
    preset: str,
    assignments: tuple[str, ...],
    model: str,
    device: str,
    dtype: str,
    frames_dir: str | None,
    dry_run: bool,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Render a morph from one IMAGE to another."""
    from morph.diffusion.files import Geometry, locate
    from morph.errors import SettingsError
    from morph.media.keyframe import read_image
    from morph.media.stills import check_folder
    from morph.media.video import check_output, video_notices
    from pipelines.plan import costs, frame_size, pair_prompts
    from pipelines.settings import changed, keys, load_preset

    if not output:
        raise SettingsError("the output has no name; write -o morph.mp4, or -o frames/ for PNGs")
    given = {key: value for key, value in overrides.items() if value is not None}
    settings = changed(load_preset(preset), {**_assigned(assignments), **given})
    pair_prompts(prompts, len(images))
    notices = [notice for image in images for notice in read_image(image).notices]
    folder, _ = locate(model, fetch=not dry_run)
    size = frame_size(settings.size, Geometry.from_folder(folder))
    check_output(output, size, settings.fps)
    if frames_dir:
        check_folder(Path(frames_dir))
        if Path(frames_dir).resolve() == Path(output).resolve():
            raise SettingsError(f"--frames-dir {frames_dir} is the output itself; choose another folder")
    for notice in (*notices, *video_notices(output, settings.fps)):
        _say(notice)
    plan = {
        "output": output,
        "frames": settings.frames,
        "fps": str(settings.fps),
        "seconds_of_video": float(settings.frames / settings.fps),
        "size": list(size),
        "model": model,
        "preset": preset,
        "settings": keys(settings),
        "unet_forwards": sum(costs(settings).values()),
    }
    if dry_run:
        _print_plan(plan, as_json)
        return
    result = _render(images, output, prompts, settings, plan, (model, device, dtype), frames_dir)
    click.echo(json.dumps(result) if as_json else output)


def _render(
    images: tuple[str, str],
    output: str,
    prompts: tuple[str, ...],
    settings: Any,
    plan: dict[str, Any],
    where: tuple[str, str, str],
    frames_dir: str | None,
) -> dict[str, Any]:
    """Do the work of ``render``; what it reports."""
    import time
    from dataclasses import asdict

    import torch
    from diffusers.utils import logging
    from transformers.utils.logging import disable_progress_bar

    from morph.media.stills import FrameFolder
    from morph.media.video import open_writer
    from morph.pacing import Evenness
    from pipelines.morph import MorphPipeline, recipe
    from pipelines.plan import costs

    logging.set_verbosity_error()
    disable_progress_bar()
    started = time.monotonic()
    name, device, dtype = where
    pipeline = MorphPipeline.from_pretrained(name, device=device, dtype=dtype)
    model = pipeline.model
    _say(f"model {model.name} on {model.device} in {str(model.dtype).removeprefix('torch.')}")
    keyframes = pipeline.prepare(images, prompts, settings)
    for prompt in model.overlong(dict.fromkeys(keyframe.prompt for keyframe in keyframes)):
        _say(f"prompt {prompt!r} is longer than this model reads; its end is left out")
    made_by = recipe(model, keyframes, plan["settings"])
    comment = json.dumps(made_by)
    bar = ProgressBar(costs(settings))
    try:
        fitted = pipeline.fit(keyframes, settings, bar)
        frames = list(pipeline.render(fitted, settings, bar))
    except torch.OutOfMemoryError as error:
        raise MemoryError from error
    finally:
        bar.close()
    if frames_dir:
        with FrameFolder(Path(frames_dir), comment=comment) as stills:
            for frame in frames:
                stills.write(frame.pixels)
    with open_writer(output, tuple(plan["size"]), settings.fps, comment) as writer:
        for frame in frames:
            writer.write(frame.pixels)
    figures = Evenness.of([frame.distance for frame in frames[1:]])
    round_trip = [round(keyframe.round_trip, 2) for keyframe in fitted]
    _say(
        f"{len(frames)} frames; neighbours {figures.mean_gap:.4f} LPIPS apart on average, "
        f"the largest gap {figures.max_mean_gap:.2f} times that, PDV {figures.pdv:.2e}; "
        f"latent round trip {round_trip[0]} and {round_trip[1]} dB"
    )
    return {
        **plan,
        "frames_dir": frames_dir,
        "seconds": round(time.monotonic() - started, 2),
        "alphas": [frame.alpha for frame in frames],
        "distances": [frame.distance for frame in frames],
        **asdict(figures),
        "round_trip_db": round_trip,
        "unet_forwards": sum(bar.spent.values()),
        "spent": bar.spent,
        "recipe": made_by,
    }


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(as_json: bool) -> None:
    """Print versions, devices and the models found on this machine."""
    from pipelines.info import gather

    found = gather()
    if as_json:
        click.echo(json.dumps(found))
        return
    for topic, facts in found.items():
        click.echo(topic)
        for name, fact in facts.items():
            click.echo(f"  {name:<18} {fact}")


@cli.command()
@click.argument("source", metavar="FOLDER|VIDEO")
@click.argument("ends", nargs=-1, metavar="[A B]")
@click.option("--fit", type=click.Choice(["crop", "pad"]), default="crop", help="As in the render.")
def measure(source: str, ends: tuple[str, ...], fit: Literal["crop", "pad"]) -> None:
    """Print the metrics of a morph's frames as JSON, against its keyframes A and B if they are given."""
    from morph.errors import SettingsError

    if len(ends) not in (0, 2):
        raise SettingsError(f"measure takes both keyframes or neither; {len(ends)} was given")
    from pipelines.evaluate import measure_files

    click.echo(json.dumps(measure_files(Path(source), [Path(end) for end in ends], fit).as_dict()))


def _assigned(assignments: tuple[str, ...]) -> dict[str, str]:
    from morph.errors import SettingsError

    values = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment!r}: write it as key=value")
        values[key.strip()] = value.strip()
    return values


def _print_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**plan, "dry_run": True}))
        return
    width, height = plan["size"]
    click.echo(
        f"{plan['output']}: {plan['frames']} frames of {width}x{height} at {plan['fps']} fps, "
        f"{plan['seconds_of_video']:.2f} s; {plan['unet_forwards']} U-Net forwards of model {plan['model']}"
    )


def _say(message: str) -> None:
    click.echo(message, err=True)


def main() -> None:
    """Run the command line; one clear line and the error's exit code when something cannot be done."""
    try:
        cli.main(standalone_mode=False)
    except MorphError as error:
        message = " ".join(str(error).split())
        _say(f"Error: {message}")
        sys.exit(error.exit_code)
    except MemoryError:
        _say("Error: out of memory; try a smaller --size or --set batch=1")
        sys.exit(MorphError.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted; no file is left half written")
        sys.exit(INTERRUPTED)
