"""``morph doctor``."""

from __future__ import annotations

import json
import sys

import click

from pipelines.cli.common import styled

COLOURS = {"ok": "green", "optional": None, "warning": "yellow", "missing": "red"}
"""Of what was found."""


@click.command()
@click.option("--measure/--no-measure", default=True, help="Measure how fast the embedded model is here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(measure: bool, as_json: bool) -> None:
    """Say what is installed, what is missing and how to get it, and what a render takes on this machine.

    The exit code is 0 unless something is missing without which nothing can be rendered.
    """
    from pipelines.report.doctor import Finding, as_dict, examine, healthy

    findings: list[Finding] = []
    for finding in examine(measure):
        if not as_json:
            if not findings or findings[-1].topic != finding.topic:
                click.echo(finding.topic)
            state = styled(f"{finding.state:<8}", sys.stdout, fg=COLOURS[finding.state])
            click.echo(f"  {state}  {finding.name:<16} {finding.fact}")
            if finding.remedy:
                click.echo(f"{'':30}{finding.remedy}")
        findings.append(finding)
    if as_json:
        click.echo(json.dumps(as_dict(findings)))
    if not healthy(findings):
        sys.exit(1)
