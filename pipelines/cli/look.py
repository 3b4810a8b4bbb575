"""Commands that look and change nothing: ``morph info``, ``morph measure``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(as_json: bool) -> None:
    """Print versions, devices and the models found on this machine."""
    from pipelines.report.info import gather

    topics = gather()
    if as_json:
        click.echo(json.dumps(topics))
        return
    for topic, facts in topics.items():
        click.echo(topic)
        for name, fact in facts.items():
            click.echo(f"  {name:<18} {fact}")


@click.command()
@click.argument("source", metavar="FOLDER|VIDEO")
@click.argument("ends", nargs=-1, metavar="[A B]")
@click.option("--fit", type=click.Choice(["crop", "pad"]), default="crop", help="As in the render.")
def measure(source: str, ends: tuple[str, ...], fit: Literal["crop", "pad"]) -> None:
    """Print the metrics of a morph's frames as JSON, against its keyframes A and B if they are given."""
    from morph.errors import SettingsError

    if len(ends) not in (0, 2):
        raise SettingsError(f"measure takes both keyframes or neither; {len(ends)} was given")
    from morph.quality.evaluate import measure_files

    click.echo(json.dumps(measure_files(Path(source), [Path(end) for end in ends], fit).as_dict()))
