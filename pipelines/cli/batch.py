"""``morph batch``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import assigned, device_options, overwrite_option, with_consent

if TYPE_CHECKING:  # --help waits for nothing
    from morph.diffusion.offload import Offload


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
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting for every clip; see morph settings."
)
@click.option("--job", metavar="DIR", help="Where work is kept, to go on from  [default: MANIFEST.job]")
@click.option("--change", is_flag=True, help="Go on with broken-off clips under other settings.")
@overwrite_option
@click.option("--allow-outside", is_flag=True, help="Let the manifest name files outside its folder.")
@click.option("--hub", is_flag=True, help="Fetch the models that the manifest names from the hub.")
@click.option("--dry-run", is_flag=True, help="Check manifest and images, and say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of a table.")
def batch(
    manifest: str | None,
    watch: str | None,
    workers: int,
    ray: str | None,
    gpus: float | None,
    cpus: float,
    device: str,
    dtype: str,
    offload: Offload,
    assignments: tuple[str, ...],
    job: str | None,
    change: bool,
    overwrite: bool,
    allow_outside: bool,
    hub: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Render the clips of a MANIFEST: a YAML, JSON or CSV file.

    Started again, it goes on with what is not done. The exit code is 1 if any clip failed.
    """
    from dataclasses import asdict, replace

    from morph.errors import MorphError, SettingsError
    from pipelines.batch.clips import PlannedClip, check_clips, check_outputs, clips_at
    from pipelines.batch.options import Options
    from pipelines.batch.render import render_clips
    from pipelines.batch.report import table
    from pipelines.batch.watch import watch as watched
    from pipelines.batch.where import Where

    if gpus is not None and not ray:
        raise SettingsError("--gpus are of Ray's tasks: add --ray")
    if (manifest is None) == (watch is None):
        raise SettingsError("name a manifest, or a folder with --watch")
    if watch:
        for option, value in (("--dry-run", dry_run), ("--json", as_json), ("--job", job)):
            if value:
                raise SettingsError(f"{option} and --watch do not go together")
    where = Where(device, dtype, offload, change, gpus, cpus, overwrite)
    options = Options(assigned(assignments), allow_outside, where, workers, ray, hub)
    if watch:
        for outcomes in watched(Path(watch), options):
            click.echo(table(outcomes))
        return
    clips = clips_at(Path(str(manifest)), options)
    folder = Path(job or f"{Path(str(manifest))}.job")
    if dry_run:
        check_clips(clips, folder, overwrite)
        planned = [PlannedClip.of(clip) for clip in clips]
        summary = {"job": str(folder), "clips": [asdict(clip) for clip in planned], "dry_run": True}
        click.echo(json.dumps(summary) if as_json else "\n".join(map(str, planned)))
        return

    def consented(may: bool) -> Options:
        if not may:
            check_outputs(clips, folder)
        return replace(options, where=replace(where, overwrite=may))

    outcomes = render_clips(clips, folder, with_consent(consented, overwrite))
    click.echo(json.dumps([asdict(outcome) for outcome in outcomes]) if as_json else table(outcomes))
    if failed := [outcome.name for outcome in outcomes if outcome.error]:
        raise MorphError(f"{len(failed)} of {len(outcomes)} clips failed: {', '.join(failed)}")
