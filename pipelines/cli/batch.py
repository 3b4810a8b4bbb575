"""``morph batch``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import assigned, device_options, say


@click.command()
@click.argument("manifest", required=False, metavar="MANIFEST")
@click.option("--watch", metavar="FOLDER", help="Render each manifest or folder of images that is dropped in here.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Clips at a time.")
@click.option("--ray", metavar="ADDRESS|local", help="Spread the work over a Ray cluster, or over a local one.")
@click.option(
    "--gpus", type=click.FloatRange(0), help="Ray: a task's share of a GPU, such as 0.5  [default: 1, or 0]"
)
@click.option("--cpus", type=click.FloatRange(0), default=1, help="Ray: cores for each task.", show_default=True)
@device_options
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting for every clip.")
@click.option("--job", metavar="DIR", help="Where work is kept, to go on from  [default: MANIFEST.job]")
@click.option("--change", is_flag=True, help="Go on with broken-off clips under other settings.")
@click.option("--allow-outside", is_flag=True, help="Let the manifest name files outside its folder.")
@click.option("--dry-run", is_flag=True, help="Check the manifest and say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of a table.")
def batch(
    manifest: str | None, watch: str | None, as_json: bool, job: str | None, dry_run: bool, **options: Any
) -> None:
    """Render the clips of a MANIFEST: a YAML, JSON or CSV file.

    Started again, it goes on with what is not done. The exit code is 1 if any clip failed.
    """
    from morph.errors import MorphError, SettingsError

    if options["gpus"] is not None and not options["ray"]:
        raise SettingsError("--gpus are of Ray's tasks: add --ray")
    if (manifest is None) == (watch is None):
        raise SettingsError("name a manifest, or a folder with --watch")
    if watch:
        for option, value in (("--dry-run", dry_run), ("--json", as_json), ("--job", job)):
            if value:
                raise SettingsError(f"{option} and --watch do not go together")
        _watch(Path(watch), options)
        return
    path = Path(str(manifest))
    clips = _clips(path, options)
    folder = Path(job) if job else Path(f"{path}.job")
    if dry_run:
        _print_plan(clips, folder, as_json)
        return
    outcomes = _run(clips, folder, options)
    _print(outcomes, as_json)
    if failed := [one.name for one in outcomes if one.error]:
        raise MorphError(f"{len(failed)} of {len(outcomes)} clips failed: {', '.join(failed)}")


def _clips(path: Path, options: dict[str, Any]) -> list[Any]:
    """The clips of a manifest, or the clip of a folder of images, which goes beside it."""
    from pipelines.manifest.read import pictures, read_manifest
    from pipelines.request.clip import clip_of
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import changed

    given = assigned(options["assignments"])
    if path.is_dir():
        output = path.with_name(f"{path.name}.mp4")
        return [clip_of(pictures(path), (), changed(load_preset("default"), given), output, named=False)]
    return read_manifest(path, allow_outside=options["allow_outside"], given=given)


def _run(clips: Sequence[Any], folder: Path, options: dict[str, Any]) -> list[Any]:
    """Render clips as the options say; each is told of when it is done, and the report is kept up to date."""
    from morph.media.stills import check_parent
    from pipelines.batch.run import save_report
    from pipelines.job.folder import locked

    check_parent(folder)
    outcomes: list[Any] = []
    with locked(folder):
        for one in _outcomes(clips, folder, options):
            outcomes.append(one)
            said = f"failed: {one.error}" if one.error else f"{one.output}, {one.frames} frames"
            say(f"{len(outcomes)} of {len(clips)}: {one.name} in {one.seconds:.0f} s: {said}")
            save_report(folder, outcomes, clips_in_all=len(clips))
    order = {clip.name: number for number, clip in enumerate(clips)}
    return sorted(outcomes, key=lambda one: order[one.name])


def _outcomes(clips: Sequence[Any], folder: Path, options: dict[str, Any]) -> Iterator[Any]:
    from pipelines.batch.run import run_here, run_ray, run_workers
    from pipelines.batch.where import Where

    own = {key: options[key] for key in ("device", "dtype", "change", "gpus", "cpus")}
    where, workers = Where(**own), options["workers"]
    if options["ray"]:
        return run_ray(clips, folder, where, options["ray"], workers)
    if workers > 1:
        return run_workers(clips, folder, where, workers)
    from pipelines.tasks.models import quiet_libraries

    quiet_libraries()
    return run_here(clips, folder, where)


def _print(outcomes: Sequence[Any], as_json: bool) -> None:
    from dataclasses import asdict

    from pipelines.batch.run import table

    click.echo(json.dumps([asdict(one) for one in outcomes]) if as_json else table(outcomes))


def _print_plan(clips: Sequence[Any], folder: Path, as_json: bool) -> None:
    from pipelines.request.costs import costs
    from pipelines.request.ways import needs_model

    rows = [
        {
            "name": clip.name,
            "output": str(clip.output),
            "frames": clip.length,
            "keyframes": len(clip.keyframes),
            "unet_forwards": sum(costs(clip).values()),
            "model": clip.model if needs_model(clip) else None,
        }
        for clip in clips
    ]
    if as_json:
        click.echo(json.dumps({"job": str(folder), "clips": rows, "dry_run": True}))
        return
    for row in rows:
        work = f"{row['unet_forwards']} U-Net forwards" if row["model"] else "no diffusion model"
        click.echo("{name}: {keyframes} images, {frames} frames, {work}, {output}".format(**row, work=work))


def _watch(folder: Path, options: dict[str, Any]) -> None:
    """Render what is dropped into a folder until somebody interrupts, and what it holds already first."""
    from morph.errors import MorphError, SettingsError
    from pipelines.batch.watch import dropped

    if not folder.is_dir():
        raise SettingsError(f"--watch {folder}: is no folder")
    say(f"watching {folder}; Ctrl-C ends it")
    own: set[Path] = set()  # what manifests read or write is not dropped in for its own sake
    failed: dict[Path, list[Path] | None] = {}
    told: dict[Path, str] = {}
    for path in dropped(folder, own, failed):
        try:
            clips = _clips(path, options)
            own |= {place for clip in clips for place in _places(clip)} - {path}
            say(f"{path}:")
            outcomes = _run(clips, Path(f"{path}.job"), options)
        except MorphError as error:
            failed[path] = None
            if told.get(path) != str(error):  # tried again in vain, it need not be said again
                say(f"{path} is not rendered, and tried again when files here change: {error}")
            told[path] = str(error)
            continue
        told.pop(path, None)
        broken = {one.name for one in outcomes if one.error}
        failed[path] = [entry.image for clip in clips if clip.name in broken for entry in clip.keyframes]
        _print(outcomes, as_json=False)


def _places(clip: Any) -> set[Path]:
    """The folders that a clip's images lie in, and its output, or the folder of its numbered stills."""
    from morph.media.pattern import StillPattern, is_stills

    output = StillPattern.parse(clip.output).folder if is_stills(clip.output) else clip.output
    return {output} | {entry.image.parent for entry in clip.keyframes}
